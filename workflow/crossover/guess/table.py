"""Draft tasks from tables."""

import io
import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from crossover.errors import UserError
from crossover.guess.draft import (
    MAX_RECORDS,
    Draft,
    draft_from_letters,
    finish_draft,
    look_like_classes,
    look_like_numbers,
    set_target,
)
from crossover.guess.images import guess_images
from crossover.guess.text import TextFormat
from crossover.specs.descriptions import SPLITS
from crossover.tasks.readers.image_table import bytes_of
from crossover.tasks.readers.images import UNREADABLE
from crossover.tasks.readers.raw import SPLIT_NAMES
from crossover.tasks.readers.rows import PLAIN, column_names, read_rows
from crossover.tasks.readers.table import as_text

SURROGATE = re.compile("[\ud800-\udfff]")  # a lone surrogate, which JSON can contain
SEQUENCE_NAMES = ("sequence", "seq", "primary", "text", "sentence", "dna", "rna", "protein", "peptide")
TARGET_NAMES = ("label", "labels", "class", "target", "y", "category", "score", "value")
PAIRS = (
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("#1 String", "#2 String"),
)
ITEM_NAMES = ("id", "item", "name", "accession", "idx", "index")
GROUP_NAMES = ("group", "cluster", "family", "superfamily", "piece", "patient", "subject")


def guess_table(path: Path, name: str, text_format: TextFormat) -> Draft:
    """Draft a task from a table, by the names and values of its columns.

    Raises:
        UserError: the file is not a table in that format, or no column contains sequences.
    """
    values, unread = _head(path, text_format)
    table = pd.DataFrame({column: text for column, cells in values.items() if (text := _texts(cells))}, dtype=object)
    columns, reasons = _columns(table)
    if image := next((column for column, cells in values.items() if _is_image(cells[0])), None):
        return _guess_images(path, name, table, columns, image, values[image])
    unread += [column for column in values if column not in table]
    if unread:
        listed = ", ".join(map(repr, unread))
        reasons.append(f"Columns not used, since they have no name, a duplicate name, or lists as values: {listed}.")
    reader: dict[str, Any] = {"kind": "table", "file": path.name, **text_format.settings, "columns": columns}
    if not text_format.header:
        reasons.append("The first line is data, not a header: columns are counted from 0.")
    if text_format.quoting == "none":
        reasons.append(
            "Some lines have a single quotation mark, so quotation marks are treated as ordinary characters."
        )
    if "sequence" not in columns:
        raise UserError(f"{path}: no column has text of several letters; a task needs a column with sequences.")
    draft = draft_from_letters(table[columns["sequence"]].dropna().tolist(), name, path, reader)
    labels = _labels(table, columns)
    if not labels:
        columns["target"] = "FILL-IN" if text_format.header else len(table.columns)
        reasons.append("No column looks like a label: set columns.target.")
    set_target(draft, labels)
    if unused := [str(column) for column in table.columns if column not in columns.values()]:
        reasons.append(f"Not used: {', '.join(unused)}.")
    draft.remarks["reader"] = "\n".join([f"Columns of the file: {', '.join(map(str, values))}.", *reasons])
    return finish_draft(draft)


def _guess_images(
    path: Path, name: str, table: pd.DataFrame, columns: dict[str, Any], image: str, values: list[Any]
) -> Draft:
    """Draft a task from a table with a column of images."""
    used = {"image": image, "target": columns.get("target", "FILL-IN")}
    used |= {"group": columns["group"]} if "group" in columns else {}
    reader = {"kind": "image-table", "file": path.name, "columns": used}
    draft = guess_images((io.BytesIO(bytes_of(value, str(path))) for value in values if value), path, name, reader)
    set_target(draft, _labels(table, columns))
    return finish_draft(draft)


def _is_image(value: Any) -> bool:
    try:
        with Image.open(io.BytesIO(bytes_of(value, ""))):
            return True
    except (UserError, *UNREADABLE):
        return False


def _labels(table: pd.DataFrame, columns: dict[str, Any]) -> list[str]:
    return table[columns["target"]].dropna().tolist() if "target" in columns else []


def _head(path: Path, text_format: TextFormat) -> tuple[dict[Any, list[Any]], list[Any]]:
    """Return the first values of each column, and the columns without a unique name."""
    settings = replace(PLAIN, **text_format.settings)
    names = column_names(path, settings)
    usable = [name for name in names if name != "" and names.count(name) == 1 and not SURROGATE.search(str(name))]
    rows = [row for _, row in itertools.islice(read_rows(path, usable, settings), MAX_RECORDS)]
    if not rows:
        raise UserError(f"{path} has no rows; give a file with sequences.")
    values = {name: list(cells) for name, cells in zip(usable, zip(*rows, strict=True), strict=True)}
    return values, [name for name in names if name not in usable]


def _texts(values: list[Any]) -> list[str | None] | None:
    """Return values as text, like the table reader; None if they are lists or objects, which it does not accept."""
    try:
        return [as_text(value, "") for value in values]
    except UserError:
        return None


def _has_name(name: Any, known: tuple[str, ...]) -> bool:
    """Return whether a column has one of the known names, or a name that ends in one, such as stability_score."""
    return str(name).lower() in known or re.split(r"[\W_]+", str(name).lower())[-1] in known


def _columns(table: pd.DataFrame) -> tuple[dict[str, Any], list[str]]:
    """Choose the columns of sequence, target and so on; return them with reasons."""
    texts = {name: table[name].dropna() for name in table.columns}
    columns: dict[str, Any] = {}
    reasons = []

    def take(role: str, name: Any, reason: str) -> None:
        columns[role] = name
        reasons.append(f"{role}: {name}, because {reason}.")

    long = {
        name: text.str.len().mean()
        for name, text in texts.items()
        if len(text) and not look_like_numbers(text.tolist())
    }
    for first, second in PAIRS:
        if first in long and second in long and "second" not in columns:
            take("sequence", first, f"{first} and {second} are a pair")
            take("second", second, "it is the second text of the pair")
    if "sequence" not in columns and long and max(long.values()) > 1:
        named = [name for name in long if long[name] > 1 and _has_name(name, SEQUENCE_NAMES)]
        longest = max(named or long, key=lambda name: long[name])
        take("sequence", longest, "of its name" if named else "its texts are the longest")
    left = [name for name in table.columns if name not in columns.values()]
    for name in left:
        values = set(texts[name].str.lower())
        if len(values) > 1 and values <= {*SPLITS, *SPLIT_NAMES}:
            take("split", name, f"its values are {', '.join(sorted(values))}")
    for role, names in (("item", ITEM_NAMES), ("group", GROUP_NAMES)):
        for name in left:
            if str(name).lower() not in names or role in columns:
                continue
            if role == "group" or texts[name].is_unique:
                take(role, name, "of its name" + (", and its values are unique" if role == "item" else ""))
            else:
                reasons.append(f"item: not {name}, because its values are not unique.")
    left = [name for name in left if name not in columns.values()]
    by_name = [name for name in left if _has_name(name, TARGET_NAMES) and len(texts[name])]
    by_content = [
        name for name in left if look_like_classes(texts[name].tolist()) or look_like_numbers(texts[name].tolist())
    ]
    if by_name or by_content:
        by_content.sort(key=lambda name: texts[name].nunique())  # of several, the one with the fewest values
        take("target", (by_name or by_content)[0], "of its name" if by_name else "its values could be labels")
    return columns, reasons
