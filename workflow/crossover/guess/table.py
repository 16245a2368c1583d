"""Guesses from tables."""

from pathlib import Path
from typing import Any

from crossover.errors import UserError
from crossover.guess.found import LOOKED_AT, Guess, are_classes, are_numbers, finish, letters, predict

SPLITS = {"train", "training", "valid", "validation", "val", "dev", "test"}
TARGET_NAMES = ("label", "labels", "class", "target", "y", "category", "score", "value")
ITEM_NAMES = ("id", "item", "name", "accession", "idx", "index")
GROUP_NAMES = ("group", "cluster", "family", "superfamily", "piece", "patient", "subject")


def guess_table(path: Path, name: str, form: str) -> Guess:
    """A task from a table, by the names and the contents of its columns.

    Raises:
        UserError: the file is no table of that form, or no column holds sequences.
    """
    table = _head(path, form)
    columns, reasons = _columns(table)
    if "sequence" not in columns:
        raise UserError(f"{path}: no column holds text of several letters; a task needs one with the sequences.")
    texts = table[columns["sequence"]].astype(str).tolist()
    found = letters(texts, name, path, {"kind": "table", "file": path.name, "format": form, "columns": columns})
    values = table[columns["target"]].astype(str).tolist() if "target" in columns else []
    if not values:
        columns["target"] = "FILL-IN"
        reasons.append("No column looked like a label: name one as columns.target.")
    predict(found, values)
    found.remarks["reader"] = "\n".join([f"Columns of the file: {', '.join(map(str, table.columns))}.", *reasons])
    return finish(found)


def _head(path: Path, form: str) -> Any:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        match form:
            case "parquet":
                return next(pq.ParquetFile(path).iter_batches(LOOKED_AT)).to_pandas()
            case "jsonl":
                return pd.read_json(path, lines=True, nrows=LOOKED_AT)
            case "json":
                return pd.read_json(path).head(LOOKED_AT)
        return pd.read_csv(path, sep="," if form == "csv" else "\t", nrows=LOOKED_AT)
    except (OSError, ValueError, StopIteration, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split()) or "it has no rows"
        raise UserError(f"{path} cannot be read as {form} ({reason}); correct it.") from error


def _columns(table: Any) -> tuple[dict[str, str], list[str]]:
    """Which column holds what, by names and contents, and why."""
    texts = {name: table[name].dropna().astype(str) for name in table.columns}
    columns: dict[str, str] = {}
    reasons = []

    def take(role: str, name: str, reason: str) -> None:
        columns[role] = name
        reasons.append(f"{role}: {name}, since {reason}.")

    long = {
        name: text.str.len().mean() for name, text in texts.items() if len(text) and table[name].dtype.kind in "OTU"
    }
    if long and max(long.values()) > 1:
        take("sequence", max(long, key=lambda name: long[name]), "its texts are the longest")
    left = [name for name in table.columns if name not in columns.values()]
    for name in left:
        values = set(texts[name].str.lower())
        if len(values) > 1 and values <= SPLITS:
            take("split", name, f"its values are {', '.join(sorted(values))}")
    for role, names in (("item", ITEM_NAMES), ("group", GROUP_NAMES)):
        for name in left:
            if str(name).lower() in names and (role == "group" or texts[name].is_unique) and role not in columns:
                take(role, name, "of its name" + (", and no value comes twice" if role == "item" else ""))
    left = [name for name in left if name not in columns.values()]
    by_name = [name for name in left if str(name).lower() in TARGET_NAMES]
    by_content = [name for name in left if are_classes(texts[name].tolist()) or are_numbers(texts[name].tolist())]
    if by_name or by_content:
        take("target", (by_name or by_content)[0], "of its name" if by_name else "its values could be labels")
    return columns, reasons
