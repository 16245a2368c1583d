"""ESM (Rives et al. 2021), a BERT of proteins."""

from dataclasses import replace
from typing import Any

from crossover.models.architectures import roberta

MASKED = 0.15 * 0.8  # share of the tokens that pretraining masked


def _body(model: Any) -> Any:
    """Return a model that adds positions to, and normalises, embeddings that it is given as well as those of token ids.

    transformers passes given embeddings on as they are.
    """

    def embed(module: Any, arguments: Any, named: dict[str, object]) -> Any:
        if named.get("inputs_embeds") is not None:
            given = {name: named.get(name) for name in ("inputs_embeds", "attention_mask", "position_ids")}
            named = named | {"inputs_embeds": module.embeddings(**given)}
        return arguments, named

    model.contact_head = None  # which gets no gradient
    model.register_forward_pre_hook(embed, with_kwargs=True)
    return model


def _last_block(block: Any, states: Any, at: Any, *, position_embeddings: Any = None, **_: object) -> Any:
    attention, normed = block.attention.self, block.attention.LayerNorm(states)
    scale = attention.attention_head_size**-0.5  # ESM scales its queries before they are rotated
    vectors = (attention.query(at.pick(normed)) * scale, attention.key(normed), attention.value(normed))
    query, key, value = (part.unflatten(2, (-1, attention.attention_head_size)) for part in vectors)
    if attention.position_embedding_type == "rotary":
        query, key = at.rotated(query, key, position_embeddings)
    dropout = attention.dropout if block.training else 0.0
    attended = at.attend(query, key, value, attention.scaling, dropout)
    return block.feed_forward_chunk(block.attention.output(attended, at.pick(states)))


def _token_scale(config: Any) -> float:
    """Return what makes up for the embeddings of masked tokens, which were 0 in pretraining (as in Rives et al.'s code)."""
    return 1 - MASKED if config.token_dropout else 1.0


ADAPTER = replace(
    roberta.ADAPTER,
    model_type="esm",
    groups={
        "embeddings": r"embeddings\.word_embeddings\.",
        "positions": r"embeddings\.position_embeddings\.",
        "norms": r"embeddings\.layer_norm\.|encoder\.emb_layer_norm_after\.|encoder\.layer\.\d+\.(attention\.)?LayerNorm\.",
        "attention": r"encoder\.layer\.\d+\.attention\.(self|output\.dense)\.",
        "feedforward": r"encoder\.layer\.\d+\.(intermediate|output)\.dense\.",
    },
    segments=None,
    last_block=_last_block,
    token_scale=_token_scale,
    body_of=_body,
    objective=None,
)
TINY = roberta.TINY | {
    "emb_layer_norm_before": True,
    "token_dropout": True,
    "pad_token_id": 1,
    "mask_token_id": 2,
}
