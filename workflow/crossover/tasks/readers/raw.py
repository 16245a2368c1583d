"""Raw text files as records: found, opened, and gathered into items."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError, nearest
from crossover.tasks.items import SPLITS, Items

# What a reader finds out about one item: `source` (file and line, which errors name), `sequence`, `target` (text, or
# None where it is missing), and as they apply `item`, `second`, `group` and `split`.
Record = dict[str, Any]
RATIO, SMALL = (
    100,
    2**28,
)  # text shrinks some four times, the most regular some twenty times; bytes that are always taken
SPLIT_NAMES = {"training": "train", "testing": "test"} | dict.fromkeys(("dev", "val", "valid"), "validation")


def files_by_split(settings: dict[str, Any], receipt: Receipt) -> Iterator[tuple[str | None, str]]:
    """The split (None where the file does not say) and the path in the dataset of each file of a reader.

    Raises:
        UserError: the dataset has no such file.
    """
    named = settings["files"] or {None: settings["file"]}
    for split in (None, *SPLITS):
        if name := named.get(split):
            find_file(receipt, name)
            yield split, name


def find_file(receipt: Receipt, name: str) -> Path:
    """The path of a file of the dataset, or of a folder of its files.

    Raises:
        UserError: the dataset has no such file.
    """
    if name in receipt.files or any(file.startswith(f"{name}/") for file in receipt.files):
        return receipt.root / name
    raise UserError(f"dataset {receipt.name} has no file {name}; {nearest(name, receipt.files)}")


class BoundedGzip(gzip.GzipFile):
    """A gzip file that is not unpacked without end: a few kilobytes can hold gigabytes of one letter."""

    unpacked = 0

    def read1(self, size: int = -1) -> bytes:
        """As GzipFile, which text is read from.

        Raises:
            UserError: the file unpacks to far more than text does.
        """
        content = super().read1(size)
        self.unpacked += len(content)
        if self.unpacked > max(SMALL, RATIO * Path(str(self.name)).stat().st_size):
            raise UserError(
                f"{self.name} unpacks to more than {RATIO} times its size, as no text does; check where it is from, and unpack it "
                "yourself if it is right."
            )
        return content


@contextmanager
def open_text(path: Path, encoding: str = "utf-8", newline: str | None = None) -> Iterator[TextIO]:
    """Open a text file, or one packed with gzip; a byte-order mark at its beginning is passed over.

    Args:
        path: the file.
        encoding: its character set.
        newline: as for `open`; None reads Windows line ends as plain ones.

    Raises:
        UserError: within the block: the file is cut off, unpacks without end, or is not text of that character set.
    """
    opener = BoundedGzip if path.suffix.lower() == ".gz" else open
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        with opener(path, "rb") as content, TextIOWrapper(content, encoding=codec, newline=newline) as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise UserError(_undecodable(path, opener, encoding)) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is not a whole gzip file ({error}); download it again.") from error


def _undecodable(path: Path, opener: Any, encoding: str) -> str:
    """Say where the first byte lies that is not in the character set."""
    before = 0
    with opener(path, "rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                where = f"line {number}: byte {before + error.start} is 0x{line[error.start]:02x}"
                break
            before += len(line)
        else:
            where = "the end: it is cut off within a character"
    return f"{path}, {where}, which is not {encoding}; save the file as UTF-8, or set reader.encoding to latin-1."


def gather(records: Iterable[Record], settings: dict[str, Any], receipt: Receipt, unit: str) -> Items:
    """Make items of records.

    Args:
        records: from the reader; without `item` the source names the item, without `group` the item is its own.
        settings: of the reader, with `labels` (label in the file to name of the class) and `split_names` (files that
            list the items of a split).
        receipt: the files.
        unit: what one position of a sequence is.

    Raises:
        UserError: there are no records, two have the same name, or a label or split is unknown.
    """
    columns: dict[str, list[Any]] = {}  # rather than a list of records, which would take twice the memory
    for record in records:
        for key, value in _complete(record, settings["labels"]).items():
            columns.setdefault(key, []).append(value)
    try:
        table = pd.DataFrame(columns)
    except UnicodeEncodeError as error:  # JSON can spell halves of characters
        rows = zip(columns["source"], *columns.values(), strict=True)
        source = next(source for source, *values in rows if error.object in values)
        raise UserError(f"{source}: {error.object[:40]!a} is no Unicode text ({error.reason}); correct it.") from error
    if table.empty:
        raise UserError(
            f"{settings['file'] or settings['files']['train']} holds no items; check that it is the right file."
        )
    repeated = table[table["item"].duplicated(keep=False)]
    if len(repeated):
        first, second, *_ = repeated.loc[repeated["item"] == repeated["item"].iloc[0], "source"]
        raise UserError(
            f"{second}: the name {repeated['item'].iloc[0]!r} is also that of {first}; "
            "names must be unique: correct or remove one, or let file and line name the items of a table."
        )
    if settings["split_names"]:
        table["split"] = _listed_splits(table["item"], settings, receipt)
    return Items(table, unit)


def _complete(record: Record, labels: dict[str, str]) -> Record:
    item = record.get("item") or record["source"]
    complete = {**record, "item": item, "group": record.get("group") or item}
    if labels and record["target"] is not None:
        if record["target"] not in labels:
            raise UserError(
                f"{record['source']}: the label {record['target']!r} is not among reader.labels; "
                f"{nearest(record['target'], labels)}"
            )
        complete["target"] = labels[record["target"]]
    if "group" in record and not record["group"]:
        raise UserError(f"{record['source']}: the item has no group; add it, or correct how reader finds the group.")
    if "split" in record:
        complete["split"] = split_named(record["split"] or "", record["source"])
    return complete


def split_named(name: str, source: str) -> str:
    """The split that data call by this name.

    Args:
        name: such as Train, dev or valid.
        source: where the name stands, for the error.

    Raises:
        UserError: it is no split.
    """
    split = SPLIT_NAMES.get(name.lower(), name.lower())
    if split not in SPLITS:
        raise UserError(f"{source}: the split {name!r} is unknown; {nearest(split, SPLITS)}")
    return split


def _listed_splits(items: pd.Series, settings: dict[str, Any], receipt: Receipt) -> pd.Series:
    """The split of each item, from the files that list them."""
    known = set(items)
    listed: dict[str, str] = {}
    for split, file in settings["split_names"].items():
        if not file:
            continue
        with open_text(find_file(receipt, file), settings["encoding"]) as stream:
            for number, name in enumerate(map(str.strip, stream), start=1):
                if name and name not in known:
                    raise UserError(f"{file}:{number}: no item has the name {name!r}; correct the list.")
                if listed.setdefault(name, split) != split:
                    raise UserError(
                        f"{file}:{number}: {name!r} is listed for {listed[name]} too; remove one of the two."
                    )
    return items.map(listed).fillna("train")
