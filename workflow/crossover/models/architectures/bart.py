"""The encoder of BART (Lewis et al. 2020)."""

from operator import attrgetter

from crossover.models.adapter import Adapter

ADAPTER = Adapter(
    model_type="bart",
    groups={
        "embeddings": r"embed_tokens\.",
        "positions": r"embed_positions\.",
        "norms": r"layernorm_embedding\.|layers\.\d+\.(self_attn|final)_layer_norm\.",
        "attention": r"layers\.\d+\.self_attn\.",
        "feedforward": r"layers\.\d+\.fc[12]\.",
    },
    blocks="layers",
    token_table="embed_tokens",
    dropouts=("dropout", "attention_dropout", "activation_dropout"),
    width="d_model",
    depth="encoder_layers",
    heads="encoder_attention_heads",
    projections=tuple(f"self_attn.{name}_proj" for name in ("q", "k", "v", "out")),
    feedforward_width="encoder_ffn_dim",
    body_of=attrgetter("encoder"),
    objective="masked",
    pretraining_settings={"decoder_layers": 0},
)
TINY = {
    "vocab_size": 30,
    "d_model": 16,
    "max_position_embeddings": 24,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 24,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
