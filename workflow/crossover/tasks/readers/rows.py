"""The rows of a table in any of the formats that tables come in."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from crossover.errors import UserError, nearest
from crossover.tasks.readers.pickles import load_data
from crossover.tasks.readers.raw import open_text

Row = tuple[int, list[Any]]  # the line or record, counted from 1, and the values of the columns asked for
Records = Iterator[tuple[int, Any]]  # likewise, of mappings
csv.field_size_limit(sys.maxsize)  # a gene has more than the 131,072 letters of the default
PLAIN = {"format": None, "header": True, "quoting": "standard", "separator": None, "encoding": "utf-8"}
FORMATS = {".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "jsonl", ".parquet": "parquet", ".lmdb": "lmdb"}


def read_rows(path: Path, columns: Sequence[Any], settings: dict[str, Any]) -> Iterator[Row]:
    """Read some columns of a table, row by row.

    Args:
        path: the file; for LMDB the file or its folder.
        columns: names, or numbers from 0 where a csv or tsv has no header.
        settings: `format` (None: what the name ends in), and of text files `encoding`, `header`, `quoting` and `separator`
            (None: as the format says).

    Yields:
        The number of the line (csv, tsv, jsonl) or record, and the values, None where the row has none.

    Raises:
        UserError: the format is unknown, the file is not of it, or there is no such column.
    """
    form = _format_of(path, settings)
    if form in SEPARATORS:
        return _delimited(path, columns, settings)
    return _picked(path, columns, RECORDS[form](path, settings | {"columns": columns}))


def read_plain(path: Path, columns: Sequence[str], encoding: str = "utf-8") -> Iterator[Row]:
    """Read some columns of a table with a header, of which nothing is known but its name; by default it is a csv."""
    form = FORMATS.get(_unpacked(path).suffix.lower(), "csv")
    return read_rows(path, columns, PLAIN | {"format": form, "encoding": encoding})


def column_names(path: Path, settings: dict[str, Any]) -> list[Any]:
    """The columns that a table has: what `read_rows` may be asked for.

    Args:
        path: the file.
        settings: as for `read_rows`.

    Raises:
        UserError: the format is unknown, or the file is not of it.
    """
    form = _format_of(path, settings)
    if form in SEPARATORS:
        _, first = next(_split(path, settings), (1, []))
        return [name.strip() for name in first] if settings["header"] else list(range(len(first)))
    number, record = next(RECORDS[form](path, settings | {"columns": None}), (1, {}))
    return list(_mapping(path, number, record))


def _format_of(path: Path, settings: dict[str, Any]) -> str:
    form = settings["format"] or FORMATS.get(_unpacked(path).suffix.lower())
    if form is None:
        raise UserError(f"{path} ends in none of {', '.join(FORMATS)}; say what it is with reader.format.")
    return form


def _unpacked(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


def _picked(path: Path, columns: Sequence[Any], records: Records) -> Iterator[Row]:
    """The values of the columns in records that are mappings; a column must be in the first, and may lack in others."""
    for position, (number, record) in enumerate(records):
        _mapping(path, number, record)
        if position == 0:
            _require_columns(path, columns, record)
        yield number, [record.get(column) for column in columns]


def _mapping(path: Path, number: int, record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise UserError(f"{path}, record {number}: expected an object with names and values, not {str(record)[:40]!r}.")
    return record


def _require_columns(path: Path, columns: Iterable[Any], known: Iterable[Any]) -> None:
    known = list(known)
    for column in columns:
        if known.count(column) > 1:
            raise UserError(f"{path} has {known.count(column)} columns {column!r}; rename all but one.")
        if column not in known:
            raise UserError(f"{path} has no column {column!r}; {nearest(str(column), map(str, known))}")


# --- text -------------------------------------------------------------------------------------------------


SEPARATORS = {"csv": ",", "tsv": "\t"}


def split_rows(lines: Iterable[str], separator: str, plain: bool, strict: bool = True) -> Any:
    """The reader of Python's `csv` for these lines; `plain` takes quotation marks as ordinary characters."""
    if plain:
        return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=separator, strict=strict)


def _split(path: Path, settings: dict[str, Any]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a csv or tsv, and the line in which each begins."""
    plain = settings["quoting"] == "none"
    separator = settings["separator"] or SEPARATORS[_format_of(path, settings)]
    with open_text(path, settings["encoding"], newline="\n" if plain else "") as stream:
        rows = split_rows(stream, separator, plain)
        number = 1
        try:
            for row in rows:
                yield number, row
                number = rows.line_num + 1
        except csv.Error as error:
            raise UserError(f"{path}, line {number}: {error}; correct the line, or set reader.quoting.") from error


def _delimited(path: Path, columns: Sequence[Any], settings: dict[str, Any]) -> Iterator[Row]:
    rows = _split(path, settings)
    places, width = list(columns), None
    if settings["header"]:
        header = [name.strip() for name in next(rows, (1, []))[1]]
        if not header:
            raise UserError(f"{path} is empty; expected a header that names the columns.")
        _require_columns(path, columns, header)
        places, width = [header.index(column) for column in columns], len(header)
    for number, row in rows:
        if width and any(row[width:]):
            raise UserError(
                f"{path}, line {number}: {len(row)} values, but the header has {width} columns; "
                "put quotation marks around a value that has the separator in it."
            )
        if any(map(str.strip, row)):
            yield number, [row[place] if place < len(row) else None for place in places]


def _json(path: Path, settings: dict[str, Any]) -> Records:
    with open_text(path, settings["encoding"]) as stream:
        text = stream.read()
    try:
        records = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno} is not JSON ({error.msg}); correct it.") from error
    except (ValueError, RecursionError) as error:  # numbers, or brackets within brackets, without end
        raise UserError(f"{path} cannot be read ({error}); correct it.") from error
    if not isinstance(records, list):
        raise UserError(
            f"{path} holds no list of objects; set reader.format to jsonl if it has one object on each line."
        )
    yield from enumerate(records, start=1)


def _json_lines(path: Path, settings: dict[str, Any]) -> Records:
    with open_text(path, settings["encoding"]) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                if line.strip():
                    yield number, json.loads(line)
            except (ValueError, RecursionError) as error:  # as above
                reason = getattr(error, "msg", error)
                raise UserError(f"{path}, line {number} is not JSON ({reason}); correct it.") from error


# --- binary -----------------------------------------------------------------------------------------------


def _parquet(path: Path, settings: dict[str, Any]) -> Records:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = settings["columns"]
    try:
        file = pq.ParquetFile(path)
        _require_columns(path, columns or [], file.schema_arrow.names)
        batches = (batch.to_pylist() for batch in file.iter_batches(columns=columns))
        yield from enumerate((record for batch in batches for record in batch), start=1)
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: text that is not UTF-8
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not a whole Parquet file ({reason}); download it again.") from error


def _lmdb(path: Path, settings: dict[str, Any]) -> Records:
    """TAPE's databases: pickled records under the keys "0", "1", ..., and their number under "num_examples"."""
    import lmdb

    try:
        with lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False) as base, base.begin() as transaction:
            count = _unpickled(path, "num_examples", transaction.get(b"num_examples"))
            for key in map(str, range(count if isinstance(count, int) else 0)):
                yield int(key) + 1, _unpickled(path, key, transaction.get(key.encode()))
    except lmdb.Error as error:
        raise UserError(f"{path} is not a whole LMDB database ({error}); unpack it again.") from error


def _unpickled(path: Path, key: str, content: bytes | None) -> Any:
    try:
        return load_data(io.BytesIO(content or b""))
    except Exception as error:  # a damaged pickle raises whatever its instructions stumble over
        raise UserError(f"{path}: the record under {key!r} cannot be read ({error}); unpack the file again.") from error


RECORDS: dict[str, Callable[[Path, dict[str, Any]], Records]] = {
    "json": _json,
    "jsonl": _json_lines,
    "parquet": _parquet,
    "lmdb": _lmdb,
}
