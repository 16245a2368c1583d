"""The adapter of an architecture: where its blocks, its groups of parameters and its settings are."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crossover.errors import UserError


@dataclass(frozen=True)
class Adapter:
    """The parts of a Hugging Face model of one architecture, by the names that they have in it.

    An adapter needs no torch to be read: what does is imported when `body_of` or `register` is called.

    Attributes:
        model_type: `model_type` of the model's config.
        groups: group name to the regular expression that matches the names of its parameters. The groups are disjoint
            and cover every parameter of the body.
        blocks: dotted path of the list of transformer blocks.
        token_table: dotted path of the token embeddings, which the input layer replaces.
        dropouts: config keys of dropout probabilities.
        positions: config key of the maximum sequence length, or a function that computes it from the config; None where
            there is no maximum.
        width: config key of the hidden size.
        depth: config key of the number of times that blocks are applied.
        shares_blocks: whether one block is applied several times, so that blocks cannot be told apart.
        heads: config key of the number of attention heads; None where there is no attention.
        projections: paths within a block of the layers of queries, keys, values and output, or of the one that holds the first three
            and of the output; None where attention has no such layers.
        input_width: config key of the width of the embeddings, where it differs from the hidden size.
        feedforward_width: config key of the width inside a feed-forward layer; None where it follows from the hidden size.
        reserved_positions: number of positions that no sequence can use.
        segments: config key of the number of segment embeddings; None where there are none.
        token_scale: computes from the config the factor by which the model multiplies embeddings that it looks up itself,
            but not embeddings that it is given.
        load_options: keyword arguments for AutoModel, such as to leave out a pooler that gets no gradient.
        last_block: computes a block of the body at the positions that are read alone, from the block, the states before it,
            the `models.last_block.ReadPositions`, and the named arguments of the block; returns the states there. None where the
            whole block is computed.
        pooler: dotted path of the dense layer of the pooler that is left out; None where there is none.
        body_of: takes the body out of a model, such as its encoder; by default the whole model is the body.
        write_back: copies what a body holds of its own into the model that it was taken from; by default it shares all with it.
        zero_positions: gives a body new positions of zeros for sequences of some length; None where positions cannot be new.
        register: makes classes of our own known to transformers; by default there are none.
        objective: how it is pretrained here as a language model, "causal" or "masked"; None where it cannot be.
        pretraining_settings: config of models that are pretrained here, beyond their size.
        window: attention window of models that are pretrained here, of which their positions are a multiple.
    """

    model_type: str
    groups: dict[str, str]
    blocks: str
    token_table: str
    dropouts: tuple[str, ...]
    positions: str | Callable[[Any], int | None] | None = "max_position_embeddings"
    width: str = "hidden_size"
    depth: str = "num_hidden_layers"
    shares_blocks: bool = False
    heads: str | None = "num_attention_heads"
    projections: tuple[str, ...] | None = None
    input_width: str | None = None
    feedforward_width: str | None = "intermediate_size"
    reserved_positions: int = 0
    segments: str | None = None
    token_scale: Callable[[Any], float] = lambda config: 1.0
    load_options: dict[str, object] = field(default_factory=dict)
    last_block: Callable[..., Any] | None = None
    pooler: str | None = None
    body_of: Callable[[Any], Any] = lambda model: model
    write_back: Callable[[Any, Any], None] = lambda body, model: None
    zero_positions: Callable[[Any, int], None] | None = None
    register: Callable[[], None] = lambda: None
    objective: str | None = None
    pretraining_settings: dict[str, Any] = field(default_factory=dict)
    window: int = 1

    def pretraining_config(self, blocks: int, width: int, heads: int, positions: int, dropout: float) -> dict[str, Any]:
        """Return the config of a model that is pretrained here; its feed-forward layers are four times as wide as it."""
        values: dict[str | None, Any] = {
            self.depth: blocks,
            self.width: width,
            self.input_width: width,
            self.heads: heads,
            self.feedforward_width: 4 * width,
            **({self.positions: positions + self.reserved_positions} if isinstance(self.positions, str) else {}),
            **dict.fromkeys(self.dropouts, dropout),
        }
        return {name: value for name, value in values.items() if name} | self.pretraining_settings

    def widths(self, config: Any) -> tuple[int, int]:
        """Return the width of the embeddings and the hidden size."""
        width = getattr(config, self.width)
        return getattr(config, self.input_width) if self.input_width else width, width

    def max_length(self, config: Any) -> int | None:
        """Return the maximum sequence length, or None where there is none or the config does not say."""
        if callable(self.positions):
            return self.positions(config)
        positions = getattr(config, self.positions, None) if self.positions else None
        return positions - self.reserved_positions if positions else None

    def has_segments(self, config: Any) -> bool:
        """Return whether the model adds a segment embedding to each token."""
        return self.segments is not None and getattr(config, self.segments) > 1

    def group_of(self, parameter: str) -> str:
        """Return the group of one of the body's parameters.

        Args:
            parameter: a name as `body.named_parameters()` gives it.

        Raises:
            UserError: the patterns of no group, or of more than one, match the name.
        """
        groups = [group for group, pattern in self.groups.items() if re.match(pattern, parameter)]
        if len(groups) != 1:
            raise UserError(
                f"parameter {parameter} of the architecture {self.model_type} belongs to {' and '.join(groups) or 'no group'}; "
                "it must belong to exactly one: correct `groups` in its file in workflow/crossover/models/architectures/."
            )
        return groups[0]

    def block_of(self, parameter: str) -> int | None:
        """Return the number of the block that a parameter of the body is in, or None outside the blocks."""
        match = re.match(rf"{re.escape(self.blocks)}\.(\d+)\.", parameter)
        return int(match[1]) if match else None
