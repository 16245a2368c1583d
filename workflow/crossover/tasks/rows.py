"""The rows of a table in any of the formats that tables come in."""

import csv
import io
import json
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from crossover.errors import UserError, nearest
from crossover.tasks.raw import open_text

Row = tuple[int, list[Any]]  # the line or record, counted from 1, and the values of the columns asked for
FORMATS = {".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "jsonl", ".parquet": "parquet", ".lmdb": "lmdb"}


def read_rows(path: Path, columns: Sequence[Any], settings: dict[str, Any]) -> Iterator[Row]:
    """Read some columns of a table, row by row.

    Args:
        path: the file; for LMDB the file or its folder.
        columns: names, or numbers from 0 where a csv or tsv has no header.
        settings: `format` (None: what the name ends in), `header`, `quoting`, `encoding`.

    Yields:
        The number of the line (csv, tsv, jsonl) or record, and the values, None where the row has none.

    Raises:
        UserError: the format is unknown, the file is not of it, or there is no such column.
    """
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    form = settings["format"] or FORMATS.get(plain.suffix)
    if form is None:
        raise UserError(f"{path} ends in none of {', '.join(FORMATS)}; say what it is with reader.format.")
    if form in ("csv", "tsv"):
        return _delimited(path, columns, "," if form == "csv" else "\t", settings)
    readers: dict[str, Callable[[Path, dict[str, Any]], Iterable[tuple[int, Any]]]] = {
        "json": _json,
        "jsonl": _json_lines,
        "parquet": lambda path, _: _parquet(path, columns),
        "lmdb": _lmdb,
    }
    return _picked(path, columns, readers[form](path, settings))


def _picked(path: Path, columns: Sequence[Any], records: Iterable[tuple[int, Any]]) -> Iterator[Row]:
    """The values of the columns in records that are mappings; a column must be in the first, and may lack in others."""
    for position, (number, record) in enumerate(records):
        if not isinstance(record, dict):
            raise UserError(
                f"{path}, record {number}: expected an object with names and values, not {str(record)[:40]!r}."
            )
        if position == 0:
            _require_columns(path, columns, record)
        yield number, [record.get(column) for column in columns]


def _require_columns(path: Path, columns: Iterable[Any], known: Iterable[Any]) -> None:
    known = list(known)
    for column in columns:
        if known.count(column) > 1:
            raise UserError(f"{path} has {known.count(column)} columns {column!r}; rename all but one.")
        if column not in known:
            raise UserError(f"{path} has no column {column!r}; {nearest(str(column), map(str, known))}")


# --- text -------------------------------------------------------------------------------------------------


def _delimited(path: Path, columns: Sequence[Any], separator: str, settings: dict[str, Any]) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # a gene has more than the 131,072 letters of the default
    plain = settings["quoting"] == "none"
    with open_text(path, settings["encoding"], newline="\n" if plain else "") as stream:
        rows = csv.reader(
            stream, delimiter=separator, quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL, strict=not plain
        )
        number = 1
        try:
            header = next(rows, []) if settings["header"] else None
            if header is not None:
                header = [name.strip() for name in header]
                if not header:
                    raise UserError(f"{path} is empty; expected a header that names the columns.")
                _require_columns(path, columns, header)
            places: list[int] = [column if header is None else header.index(column) for column in columns]
            number = rows.line_num + 1
            for row in rows:
                if row and header and len(row) > len(header):
                    raise UserError(
                        f"{path}, line {number}: {len(row)} values, but the header has {len(header)} columns; "
                        "put quotation marks around a value that has the separator in it."
                    )
                if row:
                    yield number, [row[place] if place < len(row) else None for place in places]
                number = rows.line_num + 1
        except csv.Error as error:
            raise UserError(f"{path}, line {number}: {error}; correct the line, or set reader.quoting.") from error


def _json(path: Path, settings: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    with open_text(path, settings["encoding"]) as stream:
        try:
            records = json.load(stream)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {error.lineno} is not JSON ({error.msg}); correct it.") from error
    if not isinstance(records, list):
        raise UserError(
            f"{path} holds no list of objects; set reader.format to jsonl if it has one object on each line."
        )
    yield from enumerate(records, start=1)


def _json_lines(path: Path, settings: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    with open_text(path, settings["encoding"]) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                if line.strip():
                    yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{path}, line {number} is not JSON ({error.msg}); correct it.") from error


# --- binary -----------------------------------------------------------------------------------------------


def _parquet(path: Path, columns: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        _require_columns(path, columns, file.schema_arrow.names)
        batches = (batch.to_pylist() for batch in file.iter_batches(columns=columns))
        yield from enumerate((record for batch in batches for record in batch), start=1)
    except pa.ArrowException as error:
        raise UserError(f"{path} is not a whole Parquet file ({error}); download it again.") from error


def _lmdb(path: Path, settings: dict[str, Any]) -> Iterator[tuple[int, Any]]:
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
        return _DataOnly(io.BytesIO(content or b"")).load()
    except Exception as error:  # a damaged pickle raises whatever its instructions stumble over
        raise UserError(f"{path}: the record under {key!r} cannot be read ({error}); unpack the file again.") from error


class _DataOnly(pickle.Unpickler):
    """Builds containers, numbers, text and numpy arrays; a pickle that names anything else is refused, unrun."""

    NUMPY = frozenset({"dtype", "ndarray", "_reconstruct", "scalar", "_frombuffer"})

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in self.NUMPY:
            # Files of numpy 1 name numpy.core, which numpy 2 calls numpy._core.
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 writes bytes
            return lambda text, _: text.encode("latin-1")
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no data")
