"""ALBERT (Lan et al. 2020): one block, applied several times, so what changes in it changes at every depth."""

from dataclasses import replace

from crossover.models.architectures import bert

ADAPTER = replace(
    bert.ADAPTER,
    model_type="albert",
    groups={
        "embeddings": r"embeddings\.(word|token_type)_embeddings\.|encoder\.embedding_hidden_mapping_in\.",
        "positions": r"embeddings\.position_embeddings\.",
        "norms": r"embeddings\.LayerNorm\.|.*\.(attention\.LayerNorm|full_layer_layer_norm)\.",
        "attention": r".*\.attention\.(query|key|value|dense)\.",
        "feedforward": r".*\.(ffn|ffn_output)\.",
    },
    blocks="encoder.albert_layer_groups",
    shares_blocks=True,
    last_block=None,
    projections=tuple(f"albert_layers.0.attention.{name}" for name in ("query", "key", "value", "dense")),
    input_width="embedding_size",
    pooler="pooler",
)
TINY = bert.TINY | {"embedding_size": 8}
