"""What readers and generators return: labelled sequences, and facts that only they know."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from crossover.config.readers import SplitSizes
from crossover.specs.descriptions import SPLITS, Floor, SkippedInput


@dataclass(frozen=True)
class Items:
    """Labelled sequences, one per row of `table`.

    Attributes:
        table: columns `item` (unique name), `group` (items of one group stay in one split), `sequence` and `target`; and
            as they apply `second` (second text of a pair), `split` (if the data define it) and `source` (file and line,
            for error messages).
        unit: what one position of a sequence is, in the plural: letters, symbols, notes, pixels, bits.
        simulated: whether the sequences imitate a real domain.
        shape: rows, columns and, for colours, channels of each image; None for sequences.
        skipped: inputs that gave no item.
        counts: number of items that a policy changed or dropped, by a description of what was done.
        floor: a floor that does not follow from the targets alone; else None.
        notes: what a reader of the card should know about the origin of the items.
    """

    table: pd.DataFrame
    unit: str
    simulated: bool = False
    shape: tuple[int, ...] | None = None
    skipped: list[SkippedInput] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    floor: Floor | None = None
    notes: list[str] = field(default_factory=list)


def generated_table(sizes: SplitSizes, sequence: Iterable[object], target: Iterable[object]) -> pd.DataFrame:
    """Return the table of a generator's items: first those of training, then of validation, then of test.

    Args:
        sizes: items of each split.
        sequence: one sequence per item, in that order.
        target: one target per item, in that order.
    """
    counts = {"train": sizes.train, "validation": sizes.validation, "test": sizes.test}
    names = [f"{split}-{number:06d}" for split, count in counts.items() for number in range(count)]
    return pd.DataFrame(
        {
            "item": names,
            "group": names,
            "sequence": pd.Series(list(sequence)),
            "target": pd.Series(list(target)),
            "split": np.repeat(SPLITS, list(counts.values())),
        }
    )


def lengths_of(sequences: pd.Series, unit: str) -> pd.Series:
    """Return the length of each sequence in units; symbols are separated by spaces."""
    return sequences.str.count(" ") + 1 if unit == "symbols" else sequences.map(len)
