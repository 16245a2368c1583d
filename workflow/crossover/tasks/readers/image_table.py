"""Images in tables: one item per row, as the Hugging Face hub stores them."""

import io
from collections.abc import Iterator
from dataclasses import replace

from crossover.config.media_readers import ImageTableReader
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt
from crossover.tasks.items import Items
from crossover.tasks.readers.images import ImageLoader
from crossover.tasks.readers.raw import RawItem, files_by_split, gather
from crossover.tasks.readers.rows import Cell, TableFormat, read_rows


def read(reader: ImageTableReader, receipt: Receipt) -> Items:
    """Read the images in the rows of Parquet files.

    Args:
        reader: its settings.
        receipt: of the raw files.

    Returns:
        One item per row; `sequence` is uint8 [rows * columns * channels], row by row, channels last.

    Raises:
        UserError: a file cannot be read or lacks a column, or a cell is not an image, or not of the size of the first.
    """
    loader = ImageLoader(reader)
    items = gather(_raw_items(reader, receipt, loader), reader, receipt, unit="pixels")
    return replace(items, shape=loader.shape, skipped=loader.skipped)


def _raw_items(reader: ImageTableReader, receipt: Receipt, loader: ImageLoader) -> Iterator[RawItem]:
    image_column, target_column, group_column = reader.columns.image, reader.columns.target, reader.columns.group
    columns = [image_column, target_column, *([] if group_column is None else [group_column])]
    for split, file in files_by_split(reader, receipt):
        for number, (image, target, *groups) in read_rows(receipt.root / file, columns, TableFormat("parquet")):
            source = f"{file}:{number}"
            pixels = loader.load(io.BytesIO(bytes_of(image, source)), source, source)
            if pixels is not None:
                label = None if target is None else str(target)
                group = (groups[0] or "") if groups else None
                yield RawItem(source, pixels.ravel(), label, group=group, split=split)


def bytes_of(cell: Cell, source: str) -> bytes:
    """Return the bytes of an image file, which the hub stores together with its path.

    Raises:
        UserError: there are none.
    """
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        raise UserError(f"{source}: expected the bytes of an image, but found {str(cell)[:40]}; choose another column.")
    return content
