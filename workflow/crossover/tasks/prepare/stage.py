"""Make a dataset, or what a generator draws, into a task: labelled sequences in three splits, and their card."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from crossover.acquire.receipt import read_receipt
from crossover.errors import UserError
from crossover.files import sha256, write_parquet, write_sealed_json
from crossover.tasks.items import SPLITS, Items
from crossover.tasks.prepare.card import describe_items
from crossover.tasks.prepare.policy import apply_policy
from crossover.tasks.prepare.splits import assign_splits, drop_rare_classes
from crossover.tasks.registry import CLUSTERING, READERS

COLUMNS = ("item", "group", "sequence", "second", "target")


def prepare_task(spec: dict[str, Any], receipt: Path | None, folder: Path) -> None:
    """Write `train.parquet`, `validation.parquet` and `test.parquet` into `folder`, and `card.json` last.

    The columns are `item` (unique), `group` (the piece of a segment, else the item), `sequence` (text, or a
    list of numbers), `second` (the second text, where items are pairs) and `target` (a class label, a number, or a
    list of bits). The card holds what `describe_items` measures, the task's name and licence, the origin of its raw files
    (None for a generator), and the SHA-256 of the three files.

    Args:
        spec: the task's spec, with `name`, `task`, `reader`, `split`, `policy` and `letters` (None for a
            generator), `target`, `simulated` and `about` (the licence).
        receipt: `dataset.json` of the raw files; None for a generator.
        folder: where the files go.

    Raises:
        UserError: the raw files are not those acquired, cannot be read, or do not make a task.
    """
    reader = importlib.import_module(READERS[spec["reader"]["kind"]])
    dataset = read_receipt(receipt) if receipt else None
    items = reader.read(spec["reader"], dataset)
    if spec["split"]:
        items = divide(apply_policy(items, spec["policy"], spec["letters"], spec["target"]["kind"]), spec)
    _check(items, spec)
    digests = {}
    columns = [name for name in COLUMNS if name in items.table]
    for name in SPLITS:
        path = folder / f"{name}.parquet"
        write_parquet(path, items.table.loc[items.table["split"] == name, columns])
        digests[path.name] = sha256(path)
    origin = {**spec.get("about", {}), "origin": dataset.origin if dataset else None}
    write_sealed_json(
        folder / "card.json",
        {"task": spec["task"], **origin, **describe_items(items, spec["target"]), "sha256": digests},
    )


def divide(items: Items, spec: dict[str, Any]) -> Items:
    """Give every item its split: the column `split` of the table that is returned.

    Args:
        items: from the reader, the policy applied.
        spec: `split`, `policy` and `letters`.

    Raises:
        UserError: the items cannot be divided like that.
    """
    split = spec["split"]
    if split["by"] == "similarity":
        clustering = importlib.import_module(CLUSTERING)
        clusters = clustering.find_clusters(items.table, spec["letters"], split["identity"], split["tool"])
        items.table["cluster"] = clusters
        items.notes.append(
            f"{clusters.nunique()} clusters of similar sequences (identity from {split['identity']}, {split['tool']}) are "
            "kept whole"
        )
    if spec["policy"]["rare_class"] == "drop":
        items = drop_rare_classes(items, split)
    items.table["split"] = assign_splits(items.table, split)
    return items


def _check(items: Items, spec: dict[str, Any]) -> None:
    """Refuse what could not be trained or scored, or would be reported under a wrong name."""
    task = f"task {spec['task']!r}"
    if items.simulated and not spec["simulated"]:
        raise UserError(
            f"{task}: reader {spec['reader']['kind']} simulates its sequences; set simulated: true in the task."
        )
    kind = _kind_of(items.table["target"].iloc[0])
    if kind != spec["target"]["kind"]:
        raise UserError(
            f"{task}: reader {spec['reader']['kind']} gives targets of kind {kind}; set target.kind to {kind}."
        )
    if kind == "class":
        _check_classes(items, spec["target"], task)
    if kind == "number" and not np.isfinite(items.table["target"].to_numpy(float)).all():
        raise UserError(f"{task}: a target is not a finite number; correct it in the raw files.")


def _kind_of(target: Any) -> str:
    if isinstance(target, str):
        return "class"
    return "number" if np.ndim(target) == 0 else "bits"


def _check_classes(items: Items, target: dict[str, Any], task: str) -> None:
    targets, split = items.table["target"], items.table["split"]
    classes = sorted(targets.unique())
    if len(classes) == 1:
        raise UserError(f"{task}: all items are of the class {classes[0]!r}; add a second class.")
    if target["positive"] is not None and target["positive"] not in classes:
        raise UserError(f"{task}: target.positive is {target['positive']!r}, but the classes are {', '.join(classes)}.")
    mixed = items.table.groupby("group")["target"].nunique().loc[lambda counts: counts > 1]
    if target["vote"] and len(mixed):
        raise UserError(
            f"{task}: items of group {mixed.index[0]!r} are of several classes, so they cannot vote on one."
        )
    absent = set(classes) - set(targets[split == "train"])
    if absent:
        raise UserError(
            f"{task}: no training item is of the class {min(absent)!r}, so it cannot be learned; add items, leave it out, or set policy.rare_class to drop."
        )
