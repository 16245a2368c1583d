"""Measure a task's items: the facts that a reader of a result must know, for its card."""

import hashlib

import numpy as np
import pandas as pd

from crossover.config.tasks import Target
from crossover.metrics import METRICS, RawTargets
from crossover.specs.descriptions import SPLITS, Floor, ItemStatistics, Lengths, SplitName
from crossover.tasks.items import Items, lengths_of


def describe_items(items: Items, target: Target) -> ItemStatistics:
    """Measure items that have been split.

    Args:
        items: with the column `split` in their table.
        target: what is predicted, and how it is scored.

    Returns:
        Numbers of items, groups and classes; lengths; the floor. `duplicates` are items whose sequence (or pair) occurs
        before in the same split; `leakage` are items whose sequence occurs in an earlier split (for validation: in training;
        for test: in training or validation).
    """
    table = items.table
    splits = {name: table[table["split"] == name] for name in SPLITS}
    lengths = lengths_of(table["sequence"], items.unit)
    by_class = target.kind == "class"
    duplicates, leakage = _repeats(table)
    floor = items.floor or _floor(splits["train"], splits["test"], target)
    return ItemStatistics(
        target=target,
        unit=items.unit,
        simulated=items.simulated,
        shape=items.shape,
        skipped=tuple(items.skipped),
        notes=tuple(items.notes),
        counts=items.counts,
        items={name: len(split) for name, split in splits.items()},
        groups={name: split["group"].nunique() for name, split in splits.items()},
        classes={name: _counts(split["target"]) for name, split in splits.items()} if by_class else None,
        lengths={name: _quartiles(lengths[split.index]) for name, split in splits.items()},
        duplicates=duplicates,
        leakage=leakage,
        floor=floor,
    )


def _counts(targets: pd.Series) -> dict[str, int]:
    return {str(label): int(count) for label, count in targets.value_counts().sort_index().items()}


def _quartiles(lengths: pd.Series) -> Lengths:
    minimum, lower, median, upper, maximum = np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return Lengths(minimum=minimum, lower_quartile=lower, median=median, upper_quartile=upper, maximum=maximum)


def _repeats(table: pd.DataFrame) -> tuple[dict[SplitName, int], dict[SplitName, int]]:
    """Count duplicates within each split, and items of earlier splits in validation and test."""
    columns = [table[name] for name in ("sequence", "second") if name in table]
    keys = pd.Series([_fingerprint(item) for item in zip(*columns, strict=True)], index=table.index)
    seen: set[bytes] = set()
    duplicates: dict[SplitName, int] = {}
    leakage: dict[SplitName, int] = {}
    for name in SPLITS:
        own = keys[table["split"] == name]
        duplicates[name] = int(own.duplicated().sum())
        leakage[name] = int(own.isin(seen).sum())
        seen.update(own)
    del leakage["train"]  # no split comes before it
    return duplicates, leakage


def _fingerprint(item: tuple[str | np.ndarray, ...]) -> bytes:
    """Return a digest of a sequence, or a pair. Sequences themselves would be in memory twice."""
    digest = hashlib.blake2b(digest_size=16)
    for part in item:
        content = part.encode() if isinstance(part, str) else part.tobytes()
        digest.update(len(content).to_bytes(8) + content)
    return digest.digest()


def _floor(train: pd.DataFrame, test: pd.DataFrame, target: Target) -> Floor:
    """Return the score of the best constant answer."""
    score, rule = METRICS[target.metric].floor(
        RawTargets(
            train=_array(train["target"]),
            test=_array(test["target"]),
            voted=_array(test.drop_duplicates("group")["target"]) if target.vote else None,
            positive=target.positive,
        )
    )
    return Floor(score=score, rule=rule)


def _array(targets: pd.Series) -> np.ndarray:
    """Return targets as an array: class names and numbers [N], bits [N, bits]."""
    return np.array(targets.to_list())
