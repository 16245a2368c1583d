"""Measure a task's items: the facts that a reader of a result must know, for its card."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from crossover.config.tasks import Target
from crossover.metrics import score
from crossover.specs import descriptions
from crossover.specs.descriptions import SPLITS, ItemStatistics, Lengths, SplitName
from crossover.tasks.items import Floor, Items, lengths_of


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
    floor = items.floor or _floor(splits["train"], splits["test"], target.model_dump())
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
        floor=descriptions.Floor(score=floor.score, rule=floor.rule),
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


def _floor(train: pd.DataFrame, test: pd.DataFrame, target: dict[str, Any]) -> Floor:
    """The score of the best constant answer."""
    match target["kind"], target["metric"]:
        case "class", "accuracy":
            # In the order of names, so that of two classes of one size it is always the same.
            common = train["target"].value_counts().sort_index().idxmax()
            scored = test.drop_duplicates("group") if target["vote"] else test
            of = "groups of test items" if target["vote"] else "test items"
            return Floor(
                float((scored["target"] == common).mean()),
                f"share of the {of} of {common!r}, the most frequent training class",
            )
        case "class", "f1":
            right = (test["target"] == target["positive"]).to_numpy()
            rule = f"F1 when every test item is called {target['positive']!r}"
            return Floor(score("f1", right, np.ones_like(right), True), rule)
        case "bits", _:
            common = int(np.mean(np.stack(train["target"].to_list())) > 0.5)
            share = float(np.mean(np.stack(test["target"].to_list()) == common))
            return Floor(share, f"share of the test bits that are {common}, the more frequent bit in training")
    return Floor(0.0, "a correlation is 0 when all answers are the same")
