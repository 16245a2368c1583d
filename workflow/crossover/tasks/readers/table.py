"""Tables: one item per row."""

from collections.abc import Iterator

from crossover.config.text_readers import Column, TableReader
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt
from crossover.tasks.items import Items
from crossover.tasks.readers.raw import RawItem, files_by_split, gather
from crossover.tasks.readers.rows import Cell, TableFormat, read_rows


def read(reader: TableReader, receipt: Receipt) -> Items:
    """Read the rows of csv, tsv, JSON, JSON Lines, Parquet or LMDB files.

    Args:
        reader: its settings.
        receipt: of the raw files.

    Returns:
        One item per row; `sequence` (and `second`) are text without surrounding white space.

    Raises:
        UserError: a file cannot be read, or lacks a column.
    """
    return gather(_raw_items(reader, receipt), reader, receipt, unit="characters")


def _raw_items(reader: TableReader, receipt: Receipt) -> Iterator[RawItem]:
    columns = reader.columns
    single = {"sequence": columns.sequence, "target": columns.target}
    optional = {"second": columns.second, "group": columns.group, "split": columns.split}
    single |= {role: column for role, column in optional.items() if column is not None}
    named_by = _listed(columns.item)
    form = TableFormat.of(reader)
    for split, file in files_by_split(reader, receipt):
        for number, row in read_rows(receipt.root / file, [*single.values(), *named_by], form):
            source = f"{file}:{number}"
            cells = [as_text(cell, source) for cell in row]
            texts = {role: cell or "" for role, cell in zip(single, cells, strict=False)}
            yield RawItem(
                source,
                texts["sequence"],
                texts["target"] or None,
                item="\t".join(cell or "" for cell in cells[len(single) :]),
                group=texts.get("group"),
                second=texts.get("second"),
                split=split or texts.get("split"),
            )


def _listed(columns: Column | list[Column] | None) -> list[Column]:
    if columns is None:
        return []
    return columns if isinstance(columns, list) else [columns]


def as_text(cell: Cell, source: str) -> str | None:
    """Return a cell as text; None if it is missing, empty or not a number. Of a list or array of one, it is that one.

    Args:
        cell: any value.
        source: file and line, for the error message.

    Raises:
        UserError: the cell contains several values, or an object.
    """
    if hasattr(cell, "tolist"):  # numpy, in LMDB files
        try:
            cell = cell.tolist()
        except ValueError as error:
            raise UserError(
                f"{source}: expected text or a number, but found {error}; choose another column."
            ) from error
    if isinstance(cell, list | tuple) and len(cell) == 1:
        cell = cell[0]
    if isinstance(cell, bytes):
        cell = cell.decode(errors="surrogateescape")  # invalid UTF-8 is refused later, with its record
    if isinstance(cell, list | tuple | dict):
        raise UserError(f"{source}: expected text or a number, but found {str(cell)[:40]}; choose another column.")
    if cell is None or cell != cell:  # only NaN is not equal to itself
        return None
    return str(cell).strip() or None
