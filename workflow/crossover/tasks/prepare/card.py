"""The card of a task: the facts of its data that a reader of a result must know."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from crossover.metrics import METRICS, RawTargets
from crossover.tasks.items import SPLITS, Floor, Items, lengths_of


def describe_items(items: Items, target: dict[str, Any]) -> dict[str, Any]:
    """Measure items that have been split.

    Args:
        items: with the column `split` in their table.
        target: what is predicted and how it is scored, as the task says.

    Returns:
        - `target`: as given;
        - `unit`, `simulated`, `shape`, `skipped`, `notes`, `counts`: as the reader and the policy gave them;
        - `items`, `groups`: their number by split;
        - `classes`: items by split and class, or None when targets are no classes;
        - `lengths`: by split, minimum, lower quartile, median, upper quartile and maximum, in units;
        - `duplicates`: by split, items whose sequence (or pair) another item before them in that split has;
        - `leakage`: by split, items whose sequence an item of an earlier split has (validation: training;
          test: training and validation);
        - `floor`: `score` (of the task's metric, on the test split) and `rule`, how it is computed.
    """
    table = items.table
    splits = {name: table[table["split"] == name] for name in SPLITS}
    lengths = lengths_of(table["sequence"], items.unit)
    by_class = target["kind"] == "class"
    duplicates, leakage = _repeated(table)
    floor = items.floor or _floor(splits["train"], splits["test"], target)
    return {
        "target": target,
        "unit": items.unit,
        "simulated": items.simulated,
        "shape": items.shape,
        "skipped": items.skipped,
        "notes": items.notes,
        "counts": items.counts,
        "items": {name: len(split) for name, split in splits.items()},
        "groups": {name: split["group"].nunique() for name, split in splits.items()},
        "classes": {name: _counts(split["target"]) for name, split in splits.items()} if by_class else None,
        "lengths": {name: _quartiles(lengths[split.index]) for name, split in splits.items()},
        "duplicates": duplicates,
        "leakage": leakage,
        "floor": {"score": floor.score, "rule": floor.rule},
    }


def _counts(targets: pd.Series) -> dict[str, int]:
    return {str(label): int(count) for label, count in targets.value_counts().sort_index().items()}


def _quartiles(lengths: pd.Series) -> dict[str, float]:
    names = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")
    return dict(zip(names, np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1]).tolist(), strict=True))


def _repeated(table: pd.DataFrame) -> tuple[dict[str, int], dict[str, int]]:
    columns = [table[name] for name in ("sequence", "second") if name in table]
    keys = pd.Series([_fingerprint(item) for item in zip(*columns, strict=True)], index=table.index)
    seen: set[bytes] = set()
    duplicates, leakage = {}, {}
    for name in SPLITS:
        own = keys[table["split"] == name]
        duplicates[name] = int(own.duplicated().sum())
        leakage[name] = int(own.isin(seen).sum())
        seen.update(own)
    del leakage["train"]  # nothing comes before it
    return duplicates, leakage


def _fingerprint(item: tuple[Any, ...]) -> bytes:
    """What stands for a sequence, or a pair, where sequences themselves would be in memory once more."""
    digest = hashlib.blake2b(digest_size=16)
    for part in item:
        content = part.encode() if isinstance(part, str) else part.tobytes()
        digest.update(len(content).to_bytes(8) + content)
    return digest.digest()


def _floor(train: pd.DataFrame, test: pd.DataFrame, target: dict[str, Any]) -> Floor:
    """Return the score of the best constant answer."""
    score, rule = METRICS[target["metric"]].floor(
        RawTargets(
            train=_array(train["target"]),
            test=_array(test["target"]),
            voted=_array(test.drop_duplicates("group")["target"]) if target["vote"] else None,
            positive=target["positive"],
        )
    )
    return Floor(score, rule)


def _array(targets: pd.Series) -> np.ndarray:
    """Return targets as an array: class names and numbers [N], bits [N, bits]."""
    return np.array(targets.to_list())
