"""Llama (Touvron et al. 2023), whose rotary positions are computed and have no parameters."""

from crossover.models.adapter import Adapter

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
