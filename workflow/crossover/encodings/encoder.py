"""What an encoder is, and what encoders share.

A module of an encoder has `make_encoder(settings, card, training) -> Encoder`: `settings` are those of the task's encoding (with
`tokenizer` resolved to a file), `card` is the card of the prepared task, and `training` is its training split, from which
some encoders learn their vocabulary.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossover.errors import UserError

Settings = dict[str, Any]
WHOLE_NOTES = "numbers (four per note)"  # the unit of sequences of notes that are more than pitches


@dataclass(frozen=True)
class Encoded:
    """The inputs of some items.

    Attributes:
        values: ids, uint16 or uint32 [positions of all], or numbers, uint8 or float32 [positions of all, width].
        lengths: int64 [items], the positions of each item.
        truncated: items that were cut.
        unknown: positions whose symbol is not in the vocabulary.
        counts: what else was lost or changed, and how often.
    """

    values: np.ndarray
    lengths: np.ndarray
    truncated: int = 0
    unknown: int = 0
    counts: dict[str, int] = field(default_factory=dict)


class Items(Protocol):
    """The items of a split with their columns `sequence` and, for pairs, `second`; a `pa.Table`, or a file read in parts."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""

    def to_batches(self) -> Iterable[pa.RecordBatch]:
        """Some items after the other."""


class Encoder(Protocol):
    """Sequences to model input, and back."""

    @property
    def facts(self) -> Settings:
        """What `encoding.json` says: `vocabulary` (the symbol of each id) or None, `width` (of a patch) or None, and more."""

    def encode(self, table: pa.Table) -> Encoded:
        """Encode the column `sequence` (for a pair, `second` too) of any number of items."""

    def decode(self, values: np.ndarray) -> Any:
        """The sequence of one item: the inverse of `encode` on what was kept."""


def column(table: pa.Table, name: str) -> pa.Array:
    """One column of a table as one array."""
    return table.column(name).combine_chunks()


def require_type(card: Settings, items: Items, encoding: str, *expected: str) -> None:
    """Refuse sequences of a type that the encoding is not for.

    Raises:
        UserError: the type of the column `sequence` is none of `expected`.
    """
    if str(items.schema.field("sequence").type) not in expected:
        raise UserError(
            f"task {card['task']!r} has sequences of {card['unit']}, which {encoding} cannot encode; choose another encoding."
        )


def id_type(size: int) -> type[np.unsignedinteger]:
    """The smallest of the stored types that holds the ids of a vocabulary of that size."""
    return np.uint16 if size <= 2**16 else np.uint32


def list_lengths(lists: pa.ListArray) -> np.ndarray:
    """The number of values in each list, int64 [lists]."""
    return pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)


def positions_within(lengths: np.ndarray) -> np.ndarray:
    """For every position of all items its place in its own item, int64 [positions of all]."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) - np.repeat(starts, lengths)


def truncate(values: np.ndarray, lengths: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Keep the first `longest` positions of each item.

    Args:
        values: [positions of all, ...].
        lengths: int64 [items].
        longest: positions to keep.

    Returns:
        The values and lengths that are left.
    """
    if lengths.max() <= longest:
        return values, lengths
    return values[positions_within(lengths) < longest], np.minimum(lengths, longest)
