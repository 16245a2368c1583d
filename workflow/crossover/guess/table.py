"""Guesses from tables."""

import csv
from pathlib import Path
from typing import Any

from crossover.errors import UserError
from crossover.guess.found import LOOKED_AT, Guess, are_classes, are_numbers, finish, letters, predict
from crossover.guess.text import Form

SPLITS = {"train", "training", "valid", "validation", "val", "dev", "test"}
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
    table = _head(path, form)
    columns, reasons = _columns(table)
    reader: dict[str, Any] = {"kind": "table", "file": path.name, "format": form.kind, "columns": columns}
    if not form.header:
        reader |= {"header": False}
        reasons.append("The first line holds data, not names: columns are counted from 0.")
    if form.quoting == "none":
        reader |= {"quoting": "none"}
        reasons.append("Quotation marks stand alone in some lines, so they are ordinary characters.")
    if "sequence" not in columns:
        raise UserError(f"{path}: no column holds text of several letters; a task needs one with the sequences.")
    texts = table[columns["sequence"]].dropna().astype(str).tolist()
    found = letters(texts, name, path, reader)
    values = table[columns["target"]].dropna().astype(str).tolist() if "target" in columns else []
    if not values:
        columns["target"] = "FILL-IN"
        reasons.append("No column looked like a label: name one as columns.target.")
    predict(found, values)
    found.remarks["reader"] = "\n".join([f"Columns of the file: {', '.join(map(str, table.columns))}.", *reasons])
    return finish(found)


def _head(path: Path, form: Form) -> Any:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        match form.kind:
            case "parquet":
                return next(pq.ParquetFile(path).iter_batches(LOOKED_AT)).to_pandas()
            case "jsonl":
                return pd.read_json(path, lines=True, nrows=LOOKED_AT)
            case "json":
                return pd.read_json(path).head(LOOKED_AT)
        return pd.read_csv(
            path,
            sep="," if form.kind == "csv" else "\t",
            header=0 if form.header else None,
            quoting=csv.QUOTE_NONE if form.quoting == "none" else csv.QUOTE_MINIMAL,
            skipinitialspace=True,
            nrows=LOOKED_AT,
        )
    except (OSError, ValueError, StopIteration, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split()) or "it has no rows"
        raise UserError(f"{path} cannot be read as {form.kind} ({reason}); correct it.") from error


def _columns(table: Any) -> tuple[dict[str, Any], list[str]]:
    """Which column holds what, by names and contents, and why."""
    texts = {name: table[name].dropna().astype(str) for name in table.columns}
    columns: dict[str, Any] = {}
    reasons = []

    def take(role: str, name: Any, reason: str) -> None:
        columns[role] = name
        reasons.append(f"{role}: {name}, since {reason}.")

    long = {
        name: text.str.len().mean() for name, text in texts.items() if len(text) and table[name].dtype.kind in "OTU"
    }
    for first, second in PAIRS:
        if first in long and second in long and "second" not in columns:
            take("sequence", first, f"{first} and {second} are a pair")
            take("second", second, "it is the other text of the pair")
    if "sequence" not in columns and long and max(long.values()) > 1:
        take("sequence", max(long, key=lambda name: long[name]), "its texts are the longest")
    left = [name for name in table.columns if name not in columns.values()]
    for name in left:
        values = set(texts[name].str.lower())
        if len(values) > 1 and values <= SPLITS:
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
    by_name = [name for name in left if str(name).lower() in TARGET_NAMES]
    by_content = [name for name in left if are_classes(texts[name].tolist()) or are_numbers(texts[name].tolist())]
    if by_name or by_content:
        by_content.sort(key=lambda name: texts[name].nunique())  # of several, the one with the fewest values
        take("target", (by_name or by_content)[0], "of its name" if by_name else "its values could be labels")
    return columns, reasons
