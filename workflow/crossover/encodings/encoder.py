"""The interface of encoders, and what they share.

The module of an encoder has `make_encoder(encoding, card, training) -> Encoder`: `encoding` is the task's encoding, `card` the
card of the prepared task, and `training` its training split, from which some encoders learn their vocabulary. An encoder that
needs a tokenizer takes it as a fourth argument.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossover.errors import UserError
from crossover.specs.descriptions import Card, EncoderFacts

Decoded = str | list[int] | np.ndarray  # a sequence: text, or numbers


@dataclass(frozen=True)
class Encoded:
    """The inputs of some items.

    Attributes:
        values: ids, uint16 or uint32 [positions of all], or numbers, uint8 or float32 [positions of all, width].
        lengths: int64 [items], the number of positions of each item.
        truncated: number of items that were truncated.
        unknown: number of positions whose symbol is not in the vocabulary.
        counts: what else was lost or changed, and how often.
    """

    values: np.ndarray
    lengths: np.ndarray
    truncated: int = 0
    unknown: int = 0
    counts: dict[str, int] = field(default_factory=dict)


class ItemBatches(Protocol):
    """The items of a split: columns `sequence` and, for pairs, `second`; a `pa.Table`, or a file that is read in batches."""

    @property
    def schema(self) -> pa.Schema:
        """Return the names and types of the columns."""

    def to_batches(self) -> Iterable[pa.RecordBatch]:
        """Return the items batch by batch."""


class Encoder(Protocol):
    """Converts sequences to model input, and back."""

    @property
    def facts(self) -> EncoderFacts:
        """Return what `encoding.json` says of the encoder."""

    def encode(self, table: pa.Table) -> Encoded:
        """Encode the column `sequence` (for a pair, `second` too) of any number of items."""

    def decode(self, values: np.ndarray) -> Decoded:
        """Return the sequence of one item: the inverse of `encode`, except for what was lost."""


def column(table: pa.Table, name: str) -> pa.Array:
    """Return a column of a table as one array."""
    return table.column(name).combine_chunks()


def require_type(card: Card, items: ItemBatches, encoding: str, *expected: str) -> None:
    """Raise if sequences have a type that the encoding cannot encode.

    Raises:
        UserError: the type of the column `sequence` is not one of `expected`.
    """
    if str(items.schema.field("sequence").type) not in expected:
        raise UserError(
            f"task {card.task!r} has sequences of {card.unit}, which {encoding} cannot encode; choose another encoding."
        )


def id_type(size: int) -> type[np.unsignedinteger]:
    """Return the smaller of the stored types that can hold the ids of a vocabulary of that size."""
    return np.uint16 if size <= 2**16 else np.uint32


def list_lengths(lists: pa.ListArray) -> np.ndarray:
    """Return the number of values in each list, int64 [lists]."""
    lengths: np.ndarray = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths


def positions_within(lengths: np.ndarray) -> np.ndarray:
    """Return for every position of all items its index within its item, int64 [positions of all]."""
    starts = np.cumsum(lengths) - lengths
    positions: np.ndarray = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    return positions


def truncate(values: np.ndarray, lengths: np.ndarray, max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Keep the first `max_length` positions of each item.

    Args:
        values: [positions of all, ...].
        lengths: int64 [items].
        max_length: positions to keep.

    Returns:
        The remaining values, and the lengths.
    """
    if lengths.max() <= max_length:
        return values, lengths
    return values[positions_within(lengths) < max_length], np.minimum(lengths, max_length)
