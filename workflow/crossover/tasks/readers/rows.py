"""Read the rows of tables: csv, tsv, JSON, JSON Lines, Parquet and LMDB."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crossover.config.text_readers import Column, TableReader
from crossover.errors import UserError, nearest
from crossover.tasks.readers.pickles import load_data
from crossover.text_files import open_text

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

Cell = Any  # text in csv and tsv; elsewhere whatever JSON, Parquet or a pickle can contain
Row = tuple[int, list[Cell]]  # the line or record, counted from 1, and the values of the requested columns
NumberedRecord = tuple[int, object]  # likewise, and what should be a mapping from column to value
RecordReader = Callable[[Path, Sequence[Column] | None, str], Iterator[NumberedRecord]]
FormatName = Literal["csv", "tsv", "json", "jsonl", "parquet", "lmdb"]
FORMATS: dict[str, FormatName] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".lmdb": "lmdb",
}
SEPARATORS = {"csv": ",", "tsv": "\t"}
csv.field_size_limit(sys.maxsize)  # a gene has more than the 131,072 letters of the default


@dataclass(frozen=True)
class TableFormat:
    """How a table is written.

    Attributes:
        format: None for that of the file name's ending.
        header: whether the first line of a csv or tsv names the columns.
        quoting: of a csv or tsv: "none" if quotation marks are ordinary characters.
        separator: of a csv or tsv; None for that of the format.
        encoding: character encoding of text.
    """

    format: FormatName | None = None
    header: bool = True
    quoting: Literal["standard", "none"] = "standard"
    separator: str | None = None
    encoding: str = "utf-8"

    @classmethod
    def of(cls, reader: TableReader) -> "TableFormat":
        """Return the format that a reader of tables is set to."""
        return cls(reader.format, reader.header, reader.quoting, reader.separator, reader.encoding)

    def name_for(self, path: Path) -> FormatName:
        """Return the name of the format of a file.

        Raises:
            UserError: no format is set, and the file name has no known ending.
        """
        name = self.format or FORMATS.get(_unpacked(path).suffix.lower())
        if name is None:
            raise UserError(f"{path} does not end in {', '.join(FORMATS)}; set reader.format.")
        return name


PLAIN = TableFormat()


def read_rows(path: Path, columns: Sequence[Column], form: TableFormat) -> Iterator[Row]:
    """Read some columns of a table, row by row.

    Args:
        path: the file; for LMDB the file or its folder.
        columns: names, or numbers from 0 where a csv or tsv has no header.
        form: how the table is written.

    Yields:
        The number of the line (csv, tsv, jsonl) or record, and the values, None where the row has none.

    Raises:
        UserError: the format is unknown, the file is not of that format, or it lacks a column.
    """
    name = form.name_for(path)
    if name in SEPARATORS:
        return _delimited(path, columns, form)
    return _select(path, columns, RECORD_READERS[name](path, columns, form.encoding))


def read_plain(path: Path, columns: Sequence[str], encoding: str = "utf-8") -> Iterator[Row]:
    """Read some columns of a table with a header; it is read as csv if its file name has no known ending."""
    name = FORMATS.get(_unpacked(path).suffix.lower(), "csv")
    return read_rows(path, columns, TableFormat(name, encoding=encoding))


def column_names(path: Path, form: TableFormat) -> list[Column]:
    """Return the columns of a table: what `read_rows` can be asked for.

    Args:
        path: the file.
        form: how the table is written.

    Raises:
        UserError: the format is unknown, or the file is not of that format.
    """
    name = form.name_for(path)
    if name in SEPARATORS:
        _, first = next(_split(path, form), (1, []))
        return [cell.strip() for cell in first] if form.header else list(range(len(first)))
    number, record = next(RECORD_READERS[name](path, None, form.encoding), (1, {}))
    return list(_mapping(path, number, record))


def _unpacked(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


def _select(path: Path, columns: Sequence[Column], records: Iterator[NumberedRecord]) -> Iterator[Row]:
    """Yield the values of some columns. The first record must have every column; others may lack some."""
    for position, (number, record) in enumerate(records):
        values = _mapping(path, number, record)
        if position == 0:
            _require_columns(path, columns, values)
        yield number, [values.get(column) for column in columns]


def _mapping(path: Path, number: int, record: object) -> dict[Column, Cell]:
    if not isinstance(record, dict):
        raise UserError(f"{path}, record {number}: expected an object with names and values, not {str(record)[:40]!r}.")
    return record


def _require_columns(path: Path, columns: Iterable[Column], known: Iterable[Column]) -> None:
    known = list(known)
    for column in columns:
        if known.count(column) > 1:
            raise UserError(f"{path} has {known.count(column)} columns {column!r}; rename all but one.")
        if column not in known:
            raise UserError(f"{path} has no column {column!r}; {nearest(str(column), map(str, known))}")


# --- text -------------------------------------------------------------------------------------------------


def split_rows(lines: Iterable[str], separator: str, plain: bool, strict: bool = True) -> "CsvReader":
    """Return Python's csv reader of these lines; `plain` treats quotation marks as ordinary characters."""
    if plain:
        return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=separator, strict=strict)


def _split(path: Path, form: TableFormat) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a csv or tsv, and the line in which each begins."""
    plain = form.quoting == "none"
    separator = form.separator or SEPARATORS[form.name_for(path)]
    with open_text(path, form.encoding, newline="\n" if plain else "") as stream:
        rows = split_rows(stream, separator, plain)
        number = 1
        try:
            for row in rows:
                yield number, row
                number = rows.line_num + 1
        except csv.Error as error:
            raise UserError(f"{path}, line {number}: {error}; correct the line, or set reader.quoting.") from error


def _delimited(path: Path, columns: Sequence[Column], form: TableFormat) -> Iterator[Row]:
    rows = _split(path, form)
    header = None
    if form.header:
        header = [name.strip() for name in next(rows, (1, []))[1]]
        if not header:
            raise UserError(f"{path} is empty; expected a header that names the columns.")
        _require_columns(path, columns, header)
    places = [column if isinstance(column, int) else (header or []).index(column) for column in columns]
    for number, row in rows:
        if header and any(row[len(header) :]):
            raise UserError(
                f"{path}, line {number}: {len(row)} values, but the header has {len(header)} columns; "
                "put quotation marks around values that contain the separator."
            )
        if any(map(str.strip, row)):
            yield number, [row[place] if place < len(row) else None for place in places]


def _json(path: Path, columns: Sequence[Column] | None, encoding: str) -> Iterator[NumberedRecord]:
    with open_text(path, encoding) as stream:
        text = stream.read()
    try:
        records = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno} is not JSON ({error.msg}); correct it.") from error
    except (ValueError, RecursionError) as error:  # huge numbers, or brackets nested too deep
        raise UserError(f"{path} cannot be read ({error}); correct it.") from error
    if not isinstance(records, list):
        raise UserError(f"{path} is not a list of objects; set reader.format to jsonl if it has one object per line.")
    yield from enumerate(records, start=1)


def _json_lines(path: Path, columns: Sequence[Column] | None, encoding: str) -> Iterator[NumberedRecord]:
    with open_text(path, encoding) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                if line.strip():
                    yield number, json.loads(line)
            except (ValueError, RecursionError) as error:  # as above
                reason = getattr(error, "msg", error)
                raise UserError(f"{path}, line {number} is not JSON ({reason}); correct it.") from error


# --- binary -----------------------------------------------------------------------------------------------


def _parquet(path: Path, columns: Sequence[Column] | None, encoding: str) -> Iterator[NumberedRecord]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        _require_columns(path, columns or [], file.schema_arrow.names)
        batches = (batch.to_pylist() for batch in file.iter_batches(columns=columns))
        yield from enumerate((record for batch in batches for record in batch), start=1)
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: text that is not UTF-8
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not a complete Parquet file ({reason}); download it again.") from error


def _lmdb(path: Path, columns: Sequence[Column] | None, encoding: str) -> Iterator[NumberedRecord]:
    """Read a database in TAPE's format: pickled records under the keys "0", "1", ..., their number under "num_examples"."""
    import lmdb

    try:
        with lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False) as base, base.begin() as transaction:
            count = _unpickled(path, "num_examples", transaction.get(b"num_examples"))
            for key in map(str, range(count if isinstance(count, int) else 0)):
                yield int(key) + 1, _unpickled(path, key, transaction.get(key.encode()))
    except lmdb.Error as error:
        raise UserError(f"{path} is not a complete LMDB database ({error}); unpack it again.") from error


def _unpickled(path: Path, key: str, content: bytes | None) -> object:
    try:
        return load_data(io.BytesIO(content or b""))
    except Exception as error:  # a damaged pickle can raise any exception
        raise UserError(f"{path}: the record under {key!r} cannot be read ({error}); unpack the file again.") from error


RECORD_READERS: dict[FormatName, RecordReader] = {
    "json": _json,
    "jsonl": _json_lines,
    "parquet": _parquet,
    "lmdb": _lmdb,
}
