"""What a reader hands over: labelled sequences and the facts that only the reader knows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Floor:
    """The score that needs no learning.

    Attributes:
        score: share of right answers, 0..1, on the test split.
        rule: how it is computed, in one sentence.
    """

    score: float
    rule: str


@dataclass(frozen=True)
class Items:
    """Labelled sequences, one row of `table` each.

    Attributes:
        table: columns `item` (unique name), `group` (what must stay in one split), `sequence` and `target`;
            optional `second` (the second text of a pair), `split` (where the data says it) and `source` (file and
            line, for errors).
        unit: what one position of a sequence is, in the plural: letters, symbols, notes, pixels, bits.
        simulated: whether the sequences imitate a real domain.
        shape: rows and columns of each image, for colours channels too, or None for sequences.
        skipped: inputs that gave no item, each with `input` and `reason`.
        counts: what was treated by a policy, in words, and how often.
        floor: a floor that does not follow from the targets alone, or None.
        notes: what a reader of the card should know about how the items came about.
    """

    table: pd.DataFrame
    unit: str
    simulated: bool = False
    shape: tuple[int, ...] | None = None
    skipped: list[dict[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    floor: Floor | None = None
    notes: list[str] = field(default_factory=list)


def generated_table(sizes: dict[str, int], sequence: Iterable[Any], target: Iterable[Any]) -> pd.DataFrame:
    """The table of a generator: the first items train, the next validate, the last test.

    Args:
        sizes: items of each split.
        sequence: one sequence per item, in the order of the splits.
        target: one target per item, in the same order.
    """
    names = [f"{split}-{number:06d}" for split in SPLITS for number in range(sizes[split])]
    return pd.DataFrame(
        {
            "item": names,
            "group": names,
            "sequence": pd.Series(list(sequence)),
            "target": pd.Series(list(target)),
            "split": np.repeat(SPLITS, [sizes[split] for split in SPLITS]),
        }
    )


def lengths_of(sequences: pd.Series, unit: str) -> pd.Series:
    """The length of each sequence, in units; symbols are separated by spaces."""
    return sequences.str.count(" ") + 1 if unit == "symbols" else sequences.map(len)
