"""Prepare a task: labelled sequences in three splits, and their card, from raw files or from a generator."""

import importlib
from pathlib import Path

import numpy as np

from crossover.acquire.receipt import origin_of, read_receipt
from crossover.alphabets import AlphabetName
from crossover.config.tasks import Policy, Split, Target
from crossover.errors import UserError
from crossover.files import sha256, write_parquet
from crossover.specs.descriptions import SPLITS, Card
from crossover.specs.tasks import TaskSpec
from crossover.tasks.items import Items
from crossover.tasks.prepare.card import describe_items
from crossover.tasks.prepare.policy import apply_policy
from crossover.tasks.prepare.splits import assign_splits, drop_rare_classes
from crossover.tasks.registry import CLUSTERING, READERS

COLUMNS = ("item", "group", "sequence", "second", "target")


def prepare_task(spec: TaskSpec, receipt: Path | None, folder: Path) -> None:
    """Write `train.parquet`, `validation.parquet` and `test.parquet` into `folder`, and `card.json` last.

    The columns are `item` (unique), `group` (such as the piece of a segment, by default the item), `sequence` (text, or a
    list of numbers), `second` (the second text of pairs) and `target` (a class label, a number, or a list of bits).

    Args:
        spec: the task's spec.
        receipt: `dataset.json` of the raw files; None for a generator.
        folder: where the files go.

    Raises:
        UserError: the raw files are not those acquired, cannot be read, or do not make a task.
    """
    raw = read_receipt(receipt) if receipt else None
    items: Items = importlib.import_module(READERS[spec.reader.kind]).read(spec.reader, raw)
    if spec.split and spec.policy:
        items = apply_policy(items, spec.policy, spec.letters, spec.target.kind)
        items = split_items(items, spec.split, spec.policy, spec.letters)
    _check(items, spec)
    digests = {}
    columns = [name for name in COLUMNS if name in items.table]
    for name in SPLITS:
        path = folder / f"{name}.parquet"
        write_parquet(path, items.table.loc[items.table["split"] == name, columns])
        digests[path.name] = sha256(path)
    statistics = describe_items(items, spec.target)
    card = Card(
        **dict(statistics), task=spec.task, licence=spec.licence, origin=origin_of(raw) if raw else None, sha256=digests
    )
    card.write(folder / "card.json")


def split_items(items: Items, split: Split, policy: Policy, letters: AlphabetName | None) -> Items:
    """Split items: return them with the column `split` in their table.

    Args:
        items: from the reader, the policy applied.
        split: how they are split.
        policy: how rare classes are handled.
        letters: the alphabet of DNA or proteins, whose similar sequences can be found; None for other sequences.

    Raises:
        UserError: the items cannot be split like that.
    """
    if split.by == "similarity":
        clustering = importlib.import_module(CLUSTERING)
        clusters = clustering.find_clusters(items.table, letters, split.identity, split.tool)
        items.table["cluster"] = clusters
        items.notes.append(
            f"{clusters.nunique()} clusters of similar sequences (identity from {split.identity}, {split.tool}) are kept whole"
        )
    if policy.rare_class == "drop":
        items = drop_rare_classes(items, split)
    items.table["split"] = assign_splits(items.table, split)
    return items


def _check(items: Items, spec: TaskSpec) -> None:
    """Raise if items could not be trained on or scored, or would be reported under a wrong name."""
    task = f"task {spec.task!r}"
    if items.simulated and not spec.simulated:
        raise UserError(f"{task}: reader {spec.reader.kind} simulates its sequences; set simulated: true in the task.")
    kind = _kind_of(items.table["target"].iloc[0])
    if kind != spec.target.kind:
        raise UserError(f"{task}: reader {spec.reader.kind} returns targets of kind {kind}; set target.kind to {kind}.")
    if kind == "class":
        _check_classes(items, spec.target, task)
    if kind == "number" and not np.isfinite(items.table["target"].to_numpy(float)).all():
        raise UserError(f"{task}: a target is not a finite number; correct it in the raw files.")


def _kind_of(target: object) -> str:
    if isinstance(target, str):
        return "class"
    return "number" if np.ndim(np.asarray(target)) == 0 else "bits"


def _check_classes(items: Items, target: Target, task: str) -> None:
    targets, split = items.table["target"], items.table["split"]
    classes = sorted(targets.unique())
    if len(classes) == 1:
        raise UserError(f"{task}: all items have the class {classes[0]!r}; add a second class.")
    if target.positive is not None and target.positive not in classes:
        raise UserError(f"{task}: target.positive is {target.positive!r}, but the classes are {', '.join(classes)}.")
    mixed = items.table.groupby("group")["target"].nunique().loc[lambda counts: counts > 1]
    if target.vote and len(mixed):
        raise UserError(
            f"{task}: items of group {mixed.index[0]!r} have different classes, so they cannot vote; set target.vote to false."
        )
    absent = set(classes) - set(targets[split == "train"])
    if absent:
        raise UserError(
            f"{task}: no training item has the class {min(absent)!r}, so it cannot be learned; add items, remove the class, "
            "or set policy.rare_class to drop."
        )
