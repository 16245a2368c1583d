"""Tables: one item per row."""

from collections.abc import Iterator
from typing import Any

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items
from crossover.tasks.readers.raw import Record, files_by_split, gather
from crossover.tasks.readers.rows import read_rows


def read(settings: dict[str, Any], receipt: Receipt) -> Items:
    """Read the rows of csv, tsv, JSON, JSON Lines, Parquet or LMDB files.

    Args:
        settings: `file` or `files`, `columns`, `labels`, and those of `read_rows`.
        receipt: the files.

    Returns:
        One item per row; `sequence` (and `second`) are text without white space around it.

    Raises:
        UserError: a file cannot be read, or lacks a column.
    """
    return gather(_records(settings, receipt), settings, receipt, unit="characters")


def _records(settings: dict[str, Any], receipt: Receipt) -> Iterator[Record]:
    columns = {key: column for key, column in settings["columns"].items() if column is not None}
    named_by = columns.pop("item", [])
    named_by = named_by if isinstance(named_by, list) else [named_by]
    for split, file in files_by_split(settings, receipt):
        for number, row in read_rows(receipt.root / file, [*columns.values(), *named_by], settings):
            source = f"{file}:{number}"
            values = [as_text(value, source) for value in row]
            record: Record = {"source": source, **dict(zip(columns, values, strict=False))}
            record["item"] = "\t".join(value or "" for value in values[len(columns) :])
            for key in ("sequence", "second"):
                if key in columns:
                    record[key] = record[key] or ""
            yield record | ({"split": split} if split else {})


def as_text(value: Any, source: str) -> str | None:
    """A value as text; a list or array of one is that one, and what is empty or no number is missing (None).

    Raises:
        UserError: the value is several, or an object.
    """
    if hasattr(value, "tolist"):  # numpy, in LMDB files
        try:
            value = value.tolist()
        except ValueError as error:
            raise UserError(
                f"{source}: expected text or a number, but found {error}; choose another column."
            ) from error
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, bytes):
        value = value.decode(errors="surrogateescape")  # what is no UTF-8 is refused with its record later
    if isinstance(value, list | tuple | dict):
        raise UserError(f"{source}: expected text or a number, but found {str(value)[:40]}; choose another column.")
    if value is None or value != value:  # NaN alone is not equal to itself
        return None
    return str(value).strip() or None
