"""Raw text files: finding them, and making items of their records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from crossover.config.text_readers import FileReader, SplitLists
from crossover.errors import UserError, nearest
from crossover.specs.descriptions import SPLITS, Receipt, SplitName
from crossover.tasks.items import Items
from crossover.text_files import open_text

SPLIT_NAMES: dict[str, SplitName] = {
    "training": "train",
    "testing": "test",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
}


@dataclass(frozen=True)
class RawItem:
    """An item as a reader finds it in a file.

    Attributes:
        source: file and line, for error messages.
        sequence: text, or the values of an image.
        target: the label in the file; None if it is missing.
        item: its unique name; None or empty to name it by its source.
        group: what must stay in one split; None if each item is its own group, empty if the file lacks it.
        second: the second text of a pair; None if items are not pairs.
        split: the split as the file calls it; None if the file does not define splits.
    """

    source: str
    sequence: str | np.ndarray
    target: str | None
    item: str | None = None
    group: str | None = None
    second: str | None = None
    split: str | None = None


COLUMNS = tuple(field.name for field in fields(RawItem))
OPTIONAL_COLUMNS = ("second", "split")


def files_by_split(reader: FileReader, receipt: Receipt) -> Iterator[tuple[SplitName | None, str]]:
    """Yield the files of a reader: their split, None for a single file, and their path in the dataset.

    Raises:
        UserError: the dataset has no such file.
    """
    named: dict[SplitName | None, str | None] = {None: reader.file}
    if reader.files:
        named = {"train": reader.files.train, "validation": reader.files.validation, "test": reader.files.test}
    for split, name in named.items():
        if name:
            find_file(receipt, name)
            yield split, name


def find_file(receipt: Receipt, name: str) -> Path:
    """Return the path of a file of the dataset, or of a folder of its files.

    Raises:
        UserError: the dataset has no such file.
    """
    if name in receipt.paths or any(file.startswith(f"{name}/") for file in receipt.paths):
        return receipt.root / name
    raise UserError(f"dataset {receipt.name} has no file {name}; {nearest(name, receipt.paths)}")


def gather(raw_items: Iterable[RawItem], reader: FileReader, receipt: Receipt, unit: str) -> Items:
    """Make items of what a reader finds in its files.

    Args:
        raw_items: in the order of the files.
        reader: its settings: names of classes, and lists of the items of each split.
        receipt: of the raw files.
        unit: what one position of a sequence is.

    Raises:
        UserError: there are no items, two have the same name, or a label or split is unknown.
    """
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}  # a list of items would take twice the memory
    for raw in raw_items:
        complete = _completed(raw, reader.labels)
        for name, values in columns.items():
            values.append(getattr(complete, name))
    if not columns["source"]:
        file = reader.file or next(file for _, file in files_by_split(reader, receipt))
        raise UserError(f"{file} contains no items; check that it is the right file.")
    table = _table(columns)
    repeated = table[table["item"].duplicated(keep=False)]
    if len(repeated):
        first, second, *_ = repeated.loc[repeated["item"] == repeated["item"].iloc[0], "source"]
        raise UserError(
            f"{second}: the name {repeated['item'].iloc[0]!r} is also used in {first}; "
            "names must be unique: correct or remove one, or omit columns.item of a table to use file and line."
        )
    if reader.split_names:
        table["split"] = _listed_splits(table["item"], reader.split_names, reader.encoding, receipt)
    return Items(table, unit)


def _completed(raw: RawItem, labels: dict[str, str]) -> RawItem:
    """Fill in the name, the group, the class and the split of an item."""
    item, target, split = raw.item or raw.source, raw.target, raw.split
    if labels and target is not None:
        if target not in labels:
            raise UserError(f"{raw.source}: the label {target!r} is not in reader.labels; {nearest(target, labels)}")
        target = labels[target]
    if raw.group == "":
        raise UserError(f"{raw.source}: the item has no group; add it, or correct the reader's group setting.")
    if split is not None:
        split = split_named(split, raw.source)
    return RawItem(raw.source, raw.sequence, target, item, raw.group or item, raw.second, split)


def _table(columns: dict[str, list[object]]) -> pd.DataFrame:
    """Return a table of the columns that the reader has."""
    present = {
        name: values for name, values in columns.items() if name not in OPTIONAL_COLUMNS or values[0] is not None
    }
    try:
        return pd.DataFrame(present)
    except UnicodeEncodeError as error:  # JSON can contain halves of characters
        rows = zip(columns["source"], *present.values(), strict=True)
        source = next(source for source, *values in rows if error.object in values)
        raise UserError(f"{source}: {error.object[:40]!a} is not Unicode text ({error.reason}); correct it.") from error


def split_named(name: str, source: str) -> SplitName:
    """Return the split that data call by this name.

    Args:
        name: such as Train, dev or valid.
        source: file and line, for the error message.

    Raises:
        UserError: there is no such split.
    """
    lower = name.lower()
    for split in SPLITS:
        if SPLIT_NAMES.get(lower, lower) == split:
            return split
    raise UserError(f"{source}: the split {name!r} is unknown; {nearest(lower, SPLITS)}")


def _listed_splits(items: pd.Series, lists: SplitLists, encoding: str, receipt: Receipt) -> pd.Series:
    """Return the split of each item, from the files that list them; items that are not listed are for training."""
    known = set(items)
    listed: dict[str, SplitName] = {}
    by_split: dict[SplitName, str | None] = {"validation": lists.validation, "test": lists.test}
    for split, file in by_split.items():
        if not file:
            continue
        with open_text(find_file(receipt, file), encoding) as stream:
            for number, name in enumerate(map(str.strip, stream), start=1):
                if name and name not in known:
                    raise UserError(f"{file}:{number}: no item has the name {name!r}; correct the list.")
                if listed.setdefault(name, split) != split:
                    raise UserError(
                        f"{file}:{number}: {name!r} is also listed for {listed[name]}; remove one of the two lines."
                    )
    return items.map(listed).fillna("train")
