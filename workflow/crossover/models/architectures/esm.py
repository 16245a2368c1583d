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
