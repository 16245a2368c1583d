"""ViT (Dosovitskiy et al. 2021), reading sequences of patches instead of images."""

from typing import Any

from crossover.models.adapter import Adapter


def _last_block(block: Any, states: Any, at: Any, **_: object) -> Any:
    attention, normed = block.attention, block.layernorm_before(states)
    vectors = (attention.q_proj(at.pick(normed)), attention.k_proj(normed), attention.v_proj(normed))
    heads = (part.unflatten(2, (-1, attention.head_dim)) for part in vectors)
    dropout = attention.attention_dropout if block.training else 0.0
    attended = attention.o_proj(at.attend(*heads, attention.scaling, dropout))
    read = at.pick(states) + block.dropout(attended)
    return read + block.dropout(block.mlp(block.layernorm_after(read)))


def _body(model: Any) -> Any:
    """Return the model as one of sequences."""
    from crossover.models.architectures.vit.module import SequenceViT

    return SequenceViT(model)


def _write_back(body: Any, model: Any) -> None:
    body.write_back(model)


def _zero_positions(body: Any, length: int) -> None:
    body.zero_positions(length)


def _patches(config: Any) -> int | None:
    """Return how many patches an image has; the config says their sizes in pixels, or in rows and columns of them."""
    sizes = [getattr(config, name, None) for name in ("image_size", "patch_size")]
    image, patch = ([size, size] if isinstance(size, int) else size for size in sizes)
    return (image[0] // patch[0]) * (image[1] // patch[1]) if image and patch else None


ADAPTER = Adapter(
    model_type="vit",
    groups={
        "embeddings": r"patch_embeddings\.",
        "positions": r"position_embeddings",
        "norms": r"layernorm\.|layers\.\d+\.layernorm_(before|after)\.",
        "attention": r"layers\.\d+\.attention\.",
        "feedforward": r"layers\.\d+\.mlp\.",
    },
    blocks="layers",
    token_table="patch_embeddings",
    dropouts=("hidden_dropout_prob", "attention_probs_dropout_prob"),
    positions=_patches,
    projections=tuple(f"attention.{name}_proj" for name in "qkvo"),
    load_options={"add_pooling_layer": False},
    last_block=_last_block,
    body_of=_body,
    write_back=_write_back,
    zero_positions=_zero_positions,
)
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": (8, 12),
    "patch_size": 2,
    "num_channels": 1,
}
