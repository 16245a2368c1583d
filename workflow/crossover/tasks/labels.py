"""The labels of files: their sub-folder, or a row of a table."""

from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError

Skipped = list[dict[str, str]]


def read_labels(receipt: Receipt, settings: dict[str, Any] | None) -> tuple[dict[str, str], Skipped]:
    """The label of each file, and the files that have none.

    Args:
        receipt: the files.
        settings: None for labels by sub-folder; else `file` (one of the files, .csv or .tsv), and its columns `item`
            (paths relative to the table's folder) and `target`.

    Raises:
        UserError: a file lies beside the class folders, or the table does not fit the files.
    """
    if settings is None:
        return {file: _folder_of(receipt, file) for file in receipt.files}, []
    path = settings["file"]
    table = read_table(receipt, path, [settings["item"], settings["target"]])
    labels = dict(zip(files_of(receipt, path, table[settings["item"]]), table[settings["target"]], strict=True))
    for number, label in enumerate(labels.values(), start=2):
        if not label.strip():
            raise UserError(
                f"{receipt.root / path}, line {number}: no {settings['target']}; give a label, or remove the line."
            )
    unlisted = [file for file in receipt.files if file not in labels and file != path]
    return labels, [{"input": file, "reason": f"not in {path}"} for file in unlisted]


def _folder_of(receipt: Receipt, file: str) -> str:
    label, *rest = Path(file).parts
    if not rest:
        raise UserError(f"{receipt.root / file} lies beside the class folders; move it into one of them, or away.")
    return label


def read_table(receipt: Receipt, path: str, columns: list[str]) -> pd.DataFrame:
    """A table among the files, all columns as text.

    Raises:
        UserError: it is not there, is no table, or lacks a column.
    """
    if path not in receipt.files:
        raise UserError(f"{receipt.root / path} is missing; put the table there, or correct its name in the reader.")
    try:
        separator = "\t" if path.endswith(".tsv") else ","
        table = pd.read_csv(receipt.root / path, sep=separator, dtype=str, keep_default_na=False)
    except ValueError as error:  # not UTF-8, or rows of different lengths
        raise UserError(
            f"{receipt.root / path} is no table ({str(error).strip()}); correct it.".replace("\n", " ")
        ) from error
    for column in columns:
        if column not in table.columns:
            raise UserError(f"{receipt.root / path} has no column {column!r}; it has {', '.join(table.columns)}.")
    return table


def files_of(receipt: Receipt, path: str, names: pd.Series) -> list[str]:
    """The files that a table names relative to its own folder.

    Raises:
        UserError: one is not there, or is named twice.
    """
    files = [(PurePosixPath(path).parent / name).as_posix() for name in names]
    known, seen = set(receipt.files), set()
    for number, file in enumerate(files, start=2):
        if file not in known or file in seen:
            problem = "is not there" if file not in known else "is named a second time"
            raise UserError(f"{receipt.root / path}, line {number}: {file} {problem}; correct or remove the line.")
        seen.add(file)
    return files
