"""The one view through which every architecture is seen: its blocks and its groups of parameters.

A new architecture is one entry in ARCHITECTURES; no other file knows the names inside a model.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, Literal

from crossover.errors import UserError

WINDOW = 64  # positions that a Longformer that is made here attends to


@dataclass(frozen=True)
class Architecture:
    """What a Hugging Face model calls its parts.

    Attributes:
        groups: group name to the regular expression that finds its parameters by name. The groups are disjoint
            and cover every parameter of the body; a test holds them to it.
        blocks: dotted path of the list of transformer blocks.
        token_table: dotted path of the token embeddings, which a new input replaces.
        dropouts: attributes of the model's config that hold dropout probabilities.
        positions: attribute of the model's config that holds the longest sequence, or what computes that from the config;
            None where there is no limit.
        width: attribute of the model's config that holds the hidden size.
        depth: attribute of the model's config that holds how many blocks are applied.
        input_width: attribute that holds the width at which sequences enter, where that is another.
        reserved: positions that the model keeps for itself.
        segments: attribute of the model's config that holds how many segments the model tells apart, where it does.
        body_of: takes the body out of a model, such as its encoder; by default it is all of the model.
        token_scale: what the model multiplies the embeddings of token ids with, but not embeddings that it is given.
        options: keyword arguments for AutoModel, such as leaving out a pooler that no loss reaches.
        heads: attribute of the model's config that holds the number of attention heads, if it has them.
        inner: attribute of the model's config that holds the width inside a feed-forward layer; None where it is four
            times the hidden size by itself.
        objective: how it is pretrained as a language model, "causal" or "masked"; None where that is not done here.
        settings: further settings of models that are made here; an encoder is made without blocks of its decoder.
    """

    groups: dict[str, str]
    blocks: str
    token_table: str
    dropouts: tuple[str, ...]
    positions: str | Callable[[Any], int | None] | None = "max_position_embeddings"
    width: str = "hidden_size"
    depth: str = "num_hidden_layers"
    options: dict[str, object] = field(default_factory=dict)
    input_width: str | None = None
    reserved: int = 0
    segments: str | None = None
    body_of: Callable[[Any], Any] = lambda model: model
    token_scale: Callable[[Any], float] = lambda config: 1.0
    heads: str | None = "num_attention_heads"
    inner: str | None = "intermediate_size"
    objective: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def config_of(self, blocks: int, width: int, heads: int, positions: int, dropout: float) -> dict[str, object]:
        """Settings of the config of a model that is made here; a feed-forward layer is four times as wide."""
        values: dict[str | None, object] = {
            self.depth: blocks,
            self.width: width,
            self.input_width: width,
            self.heads: heads,
            self.inner: 4 * width,
            **({self.positions: positions + self.reserved} if isinstance(self.positions, str) else {}),
            **dict.fromkeys(self.dropouts, dropout),
        }
        return {name: value for name, value in values.items() if name} | self.settings

    def widths(self, config: Any) -> tuple[int, int]:
        """The width at which sequences enter, and the hidden size that the head reads."""
        width = getattr(config, self.width)
        return getattr(config, self.input_width) if self.input_width else width, width

    def longest(self, config: Any) -> int | None:
        """The longest sequence that the model reads, or None where there is no limit."""
        if callable(self.positions):
            return self.positions(config)
        found = getattr(config, self.positions, None) if self.positions else None
        return found - self.reserved if found else None

    def tells_segments(self, config: Any) -> bool:
        """Whether the model adds to each token an embedding of the segment that it lies in."""
        return self.segments is not None and getattr(config, self.segments) > 1


def _sequence_vit(model: Any) -> Any:
    from crossover.models.vit import SequenceViT  # needs torch, which whoever plans a study does without

    return SequenceViT(model)


def _embedding_esm(model: Any) -> Any:
    """An ESM that adds positions to embeddings too, and norms them, which transformers leaves out where no ids are given."""

    def embed(module: Any, arguments: Any, named: dict[str, Any]) -> Any:
        if named.get("inputs_embeds") is not None:
            given = {name: named.get(name) for name in ("inputs_embeds", "attention_mask", "position_ids")}
            named = named | {"inputs_embeds": module.embeddings(**given)}
        return arguments, named

    model.contact_head = None  # which no loss reaches
    model.register_forward_pre_hook(embed, with_kwargs=True)
    return model


def _patches(config: Any) -> int | None:
    """How many patches an image has; its size and that of a patch are pixels, or rows and columns of them."""
    sizes = [getattr(config, name, None) for name in ("image_size", "patch_size")]
    image, patch = ([size, size] if isinstance(size, int) else size for size in sizes)
    return (image[0] // patch[0]) * (image[1] // patch[1]) if image and patch else None


_BERT = Architecture(
    groups={
        "embeddings": r"embeddings\.(word|token_type)_embeddings\.",
        "positions": r"embeddings\.position_embeddings\.",
        "norms": r"embeddings\.LayerNorm\.|encoder\.layer\.\d+\.(attention\.)?output\.LayerNorm\.",
        "attention": r"encoder\.layer\.\d+\.attention\.(self|output\.dense)\.",
        "feedforward": r"encoder\.layer\.\d+\.(intermediate|output)\.dense\.",
    },
    blocks="encoder.layer",
    token_table="embeddings.word_embeddings",
    dropouts=("hidden_dropout_prob", "attention_probs_dropout_prob"),
    options={"add_pooling_layer": False},
    objective="masked",
    segments="type_vocab_size",
)

ARCHITECTURES = {
    "gpt2": Architecture(
        groups={
            "embeddings": r"wte\.",
            "positions": r"wpe\.",
            "norms": r"h\.\d+\.ln_[12]\.|ln_f\.",
            "attention": r"h\.\d+\.attn\.",
            "feedforward": r"h\.\d+\.mlp\.",
        },
        blocks="h",
        token_table="wte",
        positions="n_positions",
        width="n_embd",
        depth="n_layer",
        dropouts=("embd_pdrop", "attn_pdrop", "resid_pdrop"),
        heads="n_head",
        inner=None,
        objective="causal",
        settings={"activation_function": "gelu_pytorch_tanh"},  # GPT-2's function in one kernel instead of eight
    ),
    "bert": _BERT,
    # Positions are counted from behind the id of padding, 1.
    "roberta": replace(_BERT, reserved=2),
    # One block, applied several times: what is trained or drawn anew in it is so at every depth.
    "albert": replace(
        _BERT,
        groups={
            "embeddings": r"embeddings\.(word|token_type)_embeddings\.|encoder\.embedding_hidden_mapping_in\.",
            "positions": r"embeddings\.position_embeddings\.",
            "norms": r"embeddings\.LayerNorm\.|.*\.(attention\.LayerNorm|full_layer_layer_norm)\.",
            "attention": r".*\.attention\.(query|key|value|dense)\.",
            "feedforward": r".*\.(ffn|ffn_output)\.",
        },
        blocks="encoder.albert_layer_groups",
        input_width="embedding_size",
    ),
    # Relative positions: a bias of the attention in the first block, for all blocks.
    "t5": Architecture(
        groups={
            "embeddings": r"embed_tokens\.",
            "positions": r"block\.0\.layer\.0\.SelfAttention\.relative_attention_bias\.",
            "norms": r"block\.\d+\.layer\.\d\.layer_norm\.|final_layer_norm\.",
            "attention": r"block\.\d+\.layer\.0\.SelfAttention\.[qkvo]\.",
            "feedforward": r"block\.\d+\.layer\.1\.DenseReluDense\.",
        },
        blocks="block",
        token_table="embed_tokens",
        positions=None,
        width="d_model",
        depth="num_layers",
        dropouts=("dropout_rate",),
        body_of=attrgetter("encoder"),
        heads="num_heads",
        inner="d_ff",
        objective="masked",
        settings={"num_decoder_layers": 0},
    ),
    "bart": Architecture(
        groups={
            "embeddings": r"embed_tokens\.",
            "positions": r"embed_positions\.",
            "norms": r"layernorm_embedding\.|layers\.\d+\.(self_attn|final)_layer_norm\.",
            "attention": r"layers\.\d+\.self_attn\.",
            "feedforward": r"layers\.\d+\.fc[12]\.",
        },
        blocks="layers",
        token_table="embed_tokens",
        width="d_model",
        depth="encoder_layers",
        dropouts=("dropout", "attention_dropout", "activation_dropout"),
        body_of=attrgetter("encoder"),
        heads="encoder_attention_heads",
        inner="encoder_ffn_dim",
        objective="masked",
        settings={"decoder_layers": 0},
    ),
    # Masked tokens were zeroed when it was trained, for which its embeddings make up (Rives et al. 2021, in their code).
    "esm": replace(
        _BERT,
        groups={
            "embeddings": r"embeddings\.word_embeddings\.",
            "positions": r"embeddings\.position_embeddings\.",
            "norms": r"embeddings\.layer_norm\.|encoder\.emb_layer_norm_after\.|encoder\.layer\.\d+\.(attention\.)?LayerNorm\.",
            "attention": r"encoder\.layer\.\d+\.attention\.(self|output\.dense)\.",
            "feedforward": r"encoder\.layer\.\d+\.(intermediate|output)\.dense\.",
        },
        reserved=2,
        segments=None,
        objective=None,
        body_of=_embedding_esm,
        token_scale=lambda config: 1 - 0.15 * 0.8 if config.token_dropout else 1.0,
    ),
    # Attention within a window; no position attends to all. Sequences are padded to whole windows.
    "longformer": replace(_BERT, reserved=2, settings={"attention_window": WINDOW}),
    "vit": Architecture(
        groups={
            "embeddings": r"patch_embeddings\.",
            "positions": r"position_embeddings",
            "norms": r"layernorm\.|layers\.\d+\.layernorm_(before|after)\.",
            "attention": r"layers\.\d+\.attention\.",
            "feedforward": r"layers\.\d+\.mlp\.",
        },
        blocks="layers",
        token_table="patch_embeddings",
        positions=_patches,
        dropouts=("hidden_dropout_prob", "attention_probs_dropout_prob"),
        options={"add_pooling_layer": False},
        body_of=_sequence_vit,
    ),
    # What carries from position to position stands for attention, what acts on each position for the feed-forward layer.
    "lstm": Architecture(
        groups={
            "embeddings": r"embed_tokens\.",
            "norms": r"layers\.\d+\.norm\.",
            "attention": r"layers\.\d+\.lstm\.(weight|bias)_hh_",
            "feedforward": r"layers\.\d+\.lstm\.(weight|bias)_ih_",
        },
        blocks="layers",
        token_table="embed_tokens",
        positions=None,
        dropouts=("dropout",),
        heads=None,
        inner=None,
        objective="causal",
    ),
    # Rotary positions are computed, and have no parameters.
    "llama": Architecture(
        groups={
            "embeddings": r"embed_tokens\.",
            "norms": r"norm\.|layers\.\d+\.(input|post_attention)_layernorm\.",
            "attention": r"layers\.\d+\.self_attn\.",
            "feedforward": r"layers\.\d+\.mlp\.",
        },
        blocks="layers",
        token_table="embed_tokens",
        dropouts=("attention_dropout",),
        objective="causal",
    ),
}


def check_type(model_type: object) -> None:
    """Refuse a Hugging Face model type that neither crossover nor transformers knows: nobody has a class for it.

    Raises:
        UserError: it is none, or not known.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if model_type not in (*ARCHITECTURES, *CONFIG_MAPPING_NAMES):
        raise UserError(
            f"neither crossover nor transformers knows the architecture {model_type!r}, and code that comes with a checkpoint is "
            "never run; choose another checkpoint, or convert this one."
        )


def stored_size(config: Mapping[str, Any], size: Literal["depth", "width", "positions"]) -> int | None:
    """One of the sizes of a model, from the content of its config.json, without loading a library.

    Returns:
        The size; None where the architecture has no such limit, and where the file leaves it to the architecture.
    """
    architecture = ARCHITECTURES.get(str(config.get("model_type")), _BERT)  # whose sizes most others call alike
    if size == "positions":
        return architecture.longest(SimpleNamespace(**config))
    return config.get(getattr(architecture, size))


def group_of(architecture: Architecture, parameter: str) -> str:
    """The group of one of the body's parameters.

    Args:
        architecture: the view of the model.
        parameter: a name as `body.named_parameters()` gives it.

    Raises:
        UserError: no group, or more than one, claims the parameter.
    """
    groups = [group for group, pattern in architecture.groups.items() if re.match(pattern, parameter)]
    if len(groups) != 1:
        raise UserError(
            f"parameter {parameter} belongs to {' and '.join(groups) or 'no group'}; it must belong to exactly one: "
            "correct the groups in workflow/crossover/models/architecture.py."
        )
    return groups[0]
