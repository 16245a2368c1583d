"""Llama (Touvron et al. 2023), whose rotary positions are computed and have no parameters."""

from typing import Any

from crossover.models.adapter import Adapter


def _last_block(block: Any, states: Any, at: Any, *, position_embeddings: Any, **_: object) -> Any:
    attention, normed = block.self_attn, block.input_layernorm(states)
    vectors = (attention.q_proj(at.pick(normed)), attention.k_proj(normed), attention.v_proj(normed))
    query, key, value = (part.unflatten(2, (-1, attention.head_dim)) for part in vectors)
    query, key = at.rotated(query, key, position_embeddings)
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
