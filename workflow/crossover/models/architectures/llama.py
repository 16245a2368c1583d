"""Llama (Touvron et al. 2023), whose rotary positions are computed and have no parameters."""

from typing import Any

from crossover.models.adapter import Adapter


def _last_block(block: Any, states: Any, at: Any, *, position_embeddings: Any, **_: object) -> Any:
    from transformers.models.llama.modeling_llama import rotate_half

    attention, normed = block.self_attn, block.input_layernorm(states)
    cosine, sine = (part.expand(len(states), -1, -1) for part in position_embeddings)

    def rotated(vectors: Any, cosine: Any, sine: Any) -> Any:
        return vectors * cosine[:, :, None] + rotate_half(vectors) * sine[:, :, None]

    def heads(layer: Any, of: Any) -> Any:
        return layer(of).unflatten(2, (-1, attention.head_dim))

    query = rotated(heads(attention.q_proj, at.pick(normed)), at.pick(cosine), at.pick(sine))
    key, value = rotated(heads(attention.k_proj, normed), cosine, sine), heads(attention.v_proj, normed)
    dropout = attention.attention_dropout if block.training else 0.0
    read = at.pick(states) + attention.o_proj(at.attend(query, key, value, attention.scaling, dropout, causal=True))
    return read + block.mlp(block.post_attention_layernorm(read))


ADAPTER = Adapter(
    model_type="llama",
    groups={
        "embeddings": r"embed_tokens\.",
        "norms": r"norm\.|layers\.\d+\.(input|post_attention)_layernorm\.",
        "attention": r"layers\.\d+\.self_attn\.",
        "feedforward": r"layers\.\d+\.mlp\.",
    },
    blocks="layers",
    token_table="embed_tokens",
    dropouts=("attention_dropout",),
    projections=tuple(f"self_attn.{name}_proj" for name in "qkvo"),
    last_block=_last_block,
    objective="causal",
)
TINY = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 24,
    "max_position_embeddings": 24,
}
