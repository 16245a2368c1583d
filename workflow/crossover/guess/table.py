"""Guesses from tables."""

import io
import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from crossover.errors import UserError
from crossover.guess.draft import LOOKED_AT, Guess, are_classes, are_numbers, finish, letters, predict
from crossover.guess.images import guess_images
from crossover.guess.text import Form
from crossover.specs.descriptions import SPLITS
from crossover.tasks.readers.image_table import bytes_of
from crossover.tasks.readers.images import UNREADABLE
from crossover.tasks.readers.raw import SPLIT_NAMES
from crossover.tasks.readers.rows import PLAIN, column_names, read_rows
from crossover.tasks.readers.table import as_text

SURROGATE = re.compile("[\ud800-\udfff]")  # half of a character, as JSON can spell it
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


def guess_table(path: Path, name: str, form: Form) -> Guess:
    """A task from a table, by the names and the contents of its columns.

    Raises:
        UserError: the file is no table of that form, or no column holds sequences.
    """
    values, unread = _head(path, form)
    table = pd.DataFrame({column: text for column, cells in values.items() if (text := _texts(cells))}, dtype=object)
    columns, reasons = _columns(table)
    if image := next((column for column, cells in values.items() if _is_image(cells[0])), None):
        return _guess_images(path, name, table, columns, image, values[image])
    unread += [column for column in values if column not in table]
    if unread:
        listed = ", ".join(map(repr, unread))
        reasons.append(
            f"Columns that cannot be read, without a name, with one that comes twice, or with lists: {listed}."
        )
    reader: dict[str, Any] = {"kind": "table", "file": path.name, **form.settings, "columns": columns}
    if not form.header:
        reasons.append("The first line holds data, not names: columns are counted from 0.")
    if form.quoting == "none":
        reasons.append("Quotation marks stand alone in some lines, so they are ordinary characters.")
    if "sequence" not in columns:
        raise UserError(f"{path}: no column holds text of several letters; a task needs one with the sequences.")
    found = letters(table[columns["sequence"]].dropna().tolist(), name, path, reader)
    labels = _labels(table, columns)
    if not labels:
        columns["target"] = "FILL-IN" if form.header else len(table.columns)
        reasons.append("No column looked like a label: name one as columns.target.")
    predict(found, labels)
    if unused := [str(column) for column in table.columns if column not in columns.values()]:
        reasons.append(f"Not used: {', '.join(unused)}.")
    found.remarks["reader"] = "\n".join([f"Columns of the file: {', '.join(map(str, values))}.", *reasons])
    return finish(found)


def _guess_images(
    path: Path, name: str, table: pd.DataFrame, columns: dict[str, Any], image: str, values: list[Any]
) -> Guess:
    """A task from a table that holds images in one column."""
    used = {"image": image, "target": columns.get("target", "FILL-IN")}
    used |= {"group": columns["group"]} if "group" in columns else {}
    reader = {"kind": "image-table", "file": path.name, "columns": used}
    found = guess_images((io.BytesIO(bytes_of(value, str(path))) for value in values if value), path, name, reader)
    predict(found, _labels(table, columns))
    return finish(found)


def _is_image(value: Any) -> bool:
    try:
        with Image.open(io.BytesIO(bytes_of(value, ""))):
            return True
    except (UserError, *UNREADABLE):
        return False


def _labels(table: pd.DataFrame, columns: dict[str, Any]) -> list[str]:
    return table[columns["target"]].dropna().tolist() if "target" in columns else []


def _head(path: Path, form: Form) -> tuple[dict[Any, list[Any]], list[Any]]:
    """The first values of each column, as the reader of tables reads them, and the columns that cannot be named."""
    settings = replace(PLAIN, **form.settings)
    names = column_names(path, settings)
    usable = [name for name in names if name != "" and names.count(name) == 1 and not SURROGATE.search(str(name))]
    rows = [row for _, row in itertools.islice(read_rows(path, usable, settings), LOOKED_AT)]
    if not rows:
        raise UserError(f"{path} has no rows; name a file with sequences in it.")
    values = {name: list(cells) for name, cells in zip(usable, zip(*rows, strict=True), strict=True)}
    return values, [name for name in names if name not in usable]


def _texts(values: list[Any]) -> list[str | None] | None:
    """Values as the reader of tables takes them; None where they are lists or objects, which it does not take."""
    try:
        return [as_text(value, "") for value in values]
    except UserError:
        return None


def _called(name: Any, known: tuple[str, ...]) -> bool:
    """Whether a column has such a name, or one that ends in it, such as stability_score."""
    return str(name).lower() in known or re.split(r"[\W_]+", str(name).lower())[-1] in known


def _columns(table: pd.DataFrame) -> tuple[dict[str, Any], list[str]]:
    """Which column holds what, by names and contents, and why."""
    texts = {name: table[name].dropna() for name in table.columns}
    columns: dict[str, Any] = {}
    reasons = []

    def take(role: str, name: Any, reason: str) -> None:
        columns[role] = name
        reasons.append(f"{role}: {name}, since {reason}.")

    long = {name: text.str.len().mean() for name, text in texts.items() if len(text) and not are_numbers(text.tolist())}
    for first, second in PAIRS:
        if first in long and second in long and "second" not in columns:
            take("sequence", first, f"{first} and {second} are a pair")
            take("second", second, "it is the other text of the pair")
    if "sequence" not in columns and long and max(long.values()) > 1:
        named = [name for name in long if long[name] > 1 and _called(name, SEQUENCE_NAMES)]
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
                take(role, name, "of its name" + (", and no value comes twice" if role == "item" else ""))
            else:
                reasons.append(f"item: not {name}, since some of its values come twice.")
    left = [name for name in left if name not in columns.values()]
    by_name = [name for name in left if _called(name, TARGET_NAMES) and len(texts[name])]
    by_content = [name for name in left if are_classes(texts[name].tolist()) or are_numbers(texts[name].tolist())]
    if by_name or by_content:
        by_content.sort(key=lambda name: texts[name].nunique())  # of several, the one with the fewest values
        take("target", (by_name or by_content)[0], "of its name" if by_name else "its values could be labels")
    return columns, reasons
