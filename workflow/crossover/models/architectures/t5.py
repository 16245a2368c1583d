"""The encoder of T5 (Raffel et al. 2020), with relative positions: a bias of the attention in the first block, for all."""

from operator import attrgetter

from crossover.models.adapter import Adapter

ADAPTER = Adapter(
    model_type="t5",
    groups={
        "embeddings": r"embed_tokens\.",
        "positions": r"block\.0\.layer\.0\.SelfAttention\.relative_attention_bias\.",
        "norms": r"block\.\d+\.layer\.\d\.layer_norm\.|final_layer_norm\.",
        "attention": r"block\.\d+\.layer\.0\.SelfAttention\.[qkvo]\.",
        "feedforward": r"block\.\d+\.layer\.1\.DenseReluDense\.",
    },
    blocks="block",
    token_table="embed_tokens",
    dropouts=("dropout_rate",),
    positions=None,
    width="d_model",
    depth="num_layers",
    heads="num_heads",
    projections=tuple(f"layer.0.SelfAttention.{name}" for name in "qkvo"),
    feedforward_width="d_ff",
    body_of=attrgetter("encoder"),
    objective="masked",
    pretraining_settings={"num_decoder_layers": 0},
)
TINY = {"vocab_size": 30, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
