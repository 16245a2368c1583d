"""Images within a table: one item per row, as the Hugging Face hub keeps them."""

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items
from crossover.tasks.readers.images import ImageReader
from crossover.tasks.readers.raw import Record, files_by_split, gather
from crossover.tasks.readers.rows import read_rows


def read(settings: dict[str, Any], receipt: Receipt) -> Items:
    """Read the images in the rows of Parquet files.

    Args:
        settings: `file` or `files`, `columns`, `labels`, `colour`, `resize` and `damaged` as for a folder of images.
        receipt: the files.

    Returns:
        One item per row; `sequence` is uint8 [rows * columns * channels], row by row, channels last.

    Raises:
        UserError: a file cannot be read or lacks a column, or an image is none, or of another size than the first.
    """
    reader = ImageReader(settings)

    def records() -> Iterator[Record]:
        for record in _records(settings, receipt):
            source = record["source"]
            image = reader.read(io.BytesIO(record.pop("image")), source, source)
            if image is not None:
                yield record | {"sequence": image.ravel()}

    items = gather(records(), settings, receipt, unit="pixels")
    return replace(items, shape=reader.shape, skipped=reader.skipped)


def _records(settings: dict[str, Any], receipt: Receipt) -> Iterator[Record]:
    columns = {key: column for key, column in settings["columns"].items() if column is not None}
    for split, file in files_by_split(settings, receipt):
        for number, row in read_rows(receipt.root / file, list(columns.values()), {"format": "parquet"}):
            record: Record = {"source": f"{file}:{number}", **dict(zip(columns, row, strict=True))}
            record["image"] = bytes_of(record["image"], record["source"])
            record["target"] = None if record["target"] is None else str(record["target"])
            yield record | ({"split": split} if split else {})


def bytes_of(value: Any, source: str) -> bytes:
    """The bytes of an image file, which the hub puts beside its path.

    Raises:
        UserError: there are none.
    """
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes):
        raise UserError(
            f"{source}: expected the bytes of an image, but found {str(value)[:40]}; choose another column."
        )
    return content
