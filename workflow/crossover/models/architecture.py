"""The one view through which every architecture is seen: its blocks and its groups of parameters.

A new architecture is one entry in ARCHITECTURES; no other file knows the names inside a model.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from crossover.errors import UserError


@dataclass(frozen=True)
class Architecture:
    """What a Hugging Face model calls its parts.

    Attributes:
        groups: group name to the regular expression that finds its parameters by name. The groups are disjoint
            and cover every parameter of the body; a test holds them to it.
        blocks: dotted path of the list of transformer blocks.
        token_table: dotted path of the token embeddings, which a new input replaces.
        positions: attribute of the model's config that holds the longest sequence; None where there is no limit.
        width: attribute of the model's config that holds the hidden size.
        depth: attribute of the model's config that holds how many blocks are applied.
        input_width: attribute that holds the width at which sequences enter, where that is another.
        reserved: positions that the model keeps for itself.
        segments: attribute of the model's config that holds how many segments the model tells apart, where it does.
        part: what of the model is the body, such as its encoder; by default all of it.
        dropouts: attributes of the model's config that hold dropout probabilities.
        options: keyword arguments for AutoModel, such as leaving out a pooler that no loss reaches.
        heads: attribute of the model's config that holds the number of attention heads.
        inner: attribute of the model's config that holds the width inside a feed-forward layer; None where it is four
            times the hidden size by itself.
        objective: how it is pretrained as a language model, "causal" or "masked"; None where that is not done here.
        settings: further settings of models that are made here.
    """

    groups: dict[str, str]
    blocks: str
    token_table: str
    positions: str | None
    width: str
    depth: str
    dropouts: tuple[str, ...]
    options: dict[str, object]
    input_width: str | None = None
    reserved: int = 0
    segments: str | None = None
    part: str | None = None
    heads: str = "num_attention_heads"
    inner: str | None = "intermediate_size"
    objective: str | None = None
    settings: dict[str, object] = field(default_factory=dict)

    def config_of(self, blocks: int, width: int, heads: int, positions: int, dropout: float) -> dict[str, object]:
        """Settings of the config of a model that is made here; a feed-forward layer is four times as wide."""
        values: dict[str | None, object] = {
            self.depth: blocks,
            self.width: width,
            self.input_width: width,
            self.heads: heads,
            self.inner: 4 * width,
            self.positions: positions + self.reserved,
            **dict.fromkeys(self.dropouts, dropout),
        }
        return {name: value for name, value in values.items() if name} | self.settings

    def widths(self, config: Any) -> tuple[int, int]:
        """The width at which sequences enter, and the hidden size that the head reads."""
        width = getattr(config, self.width)
        return getattr(config, self.input_width) if self.input_width else width, width

    def longest(self, config: Any) -> int | None:
        """The longest sequence that the model reads, or None where there is no limit."""
        return getattr(config, self.positions) - self.reserved if self.positions else None

    def tells_segments(self, config: Any) -> bool:
        """Whether the model adds to each token an embedding of the segment that it lies in."""
        return self.segments is not None and getattr(config, self.segments) > 1

    def body_of(self, model: Any) -> Any:
        """The part of a model that is the body."""
        return getattr(model, self.part) if self.part else model


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
    positions="max_position_embeddings",
    width="hidden_size",
    depth="num_hidden_layers",
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
        options={},
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
        options={},
        part="encoder",
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
        positions="max_position_embeddings",
        width="d_model",
        depth="encoder_layers",
        dropouts=("dropout", "attention_dropout", "activation_dropout"),
        options={},
        part="encoder",
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
        positions="max_position_embeddings",
        width="hidden_size",
        depth="num_hidden_layers",
        dropouts=("attention_dropout",),
        options={},
        objective="causal",
    ),
}


def architecture_of(model_type: str) -> Architecture:
    """The view of a Hugging Face model type.

    Raises:
        UserError: crossover does not know this architecture.
    """
    if model_type not in ARCHITECTURES:
        raise UserError(
            f"crossover has no view of the architecture {model_type!r}; known: {', '.join(sorted(ARCHITECTURES))}; "
            "add an entry to workflow/crossover/models/architecture.py."
        )
    return ARCHITECTURES[model_type]


def stored_size(config: Mapping[str, Any], size: Literal["depth", "width", "positions"]) -> int | None:
    """One of the sizes of a model, from the content of its config.json, without loading a library.

    Returns:
        The size; None where crossover has no view of the architecture, where the architecture has no such limit, and where
        the file leaves it to the architecture.
    """
    architecture = ARCHITECTURES.get(str(config.get("model_type")))
    key = getattr(architecture, size) if architecture else None
    if key is None or config.get(key) is None:
        return None
    return config[key] - (architecture.reserved if architecture and size == "positions" else 0)


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
