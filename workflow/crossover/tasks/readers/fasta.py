"""FASTA files: one item per record."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items
from crossover.tasks.readers.raw import Record, files_by_split, find_file, gather, open_text
from crossover.tasks.readers.rows import read_plain


def read(settings: dict[str, Any], receipt: Receipt) -> Items:
    """Read FASTA records, with what their headers say about label, group and split.

    Args:
        settings: `file` or `files`, `encoding`, `label` (a regular expression, or a table's `file`, `item` and
            `target`), `group` and `split` (regular expressions or None), `labels`.
        receipt: the files.

    Returns:
        One item per record, named by the first word of its header; its letters as they are, line ends dropped.

    Raises:
        UserError: a file is not FASTA, or the table of labels cannot be read or has a name twice.
    """
    return gather(_records(settings, receipt), settings, receipt, unit="letters")


def _records(settings: dict[str, Any], receipt: Receipt) -> Iterator[Record]:
    label = settings["label"]
    find_label = _finder(label) if isinstance(label, str) else _table_of_labels(label, settings, receipt)
    finders = {key: _finder(settings[key]) for key in ("group", "split") if settings[key]}
    for split, file in files_by_split(settings, receipt):
        for source, header, sequence in _parsed(file, settings, receipt):
            record = {
                "source": source,
                "item": header.split(maxsplit=1)[0] if header else None,
                "sequence": sequence,
                "target": find_label(header),
                **{key: find(header) for key, find in finders.items()},
            }
            if "split" in finders:
                record["split"] = record["split"] or "train"
            yield record | ({"split": split} if split else {})


def _parsed(file: str, settings: dict[str, Any], receipt: Receipt) -> Iterator[tuple[str, str, str]]:
    """Where each record stands, its header and its sequence, as Biopython reads them."""
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    with open_text(receipt.root / file, settings["encoding"]) as stream:
        number, first = next(((number, line) for number, line in enumerate(stream, start=1) if line.strip()), (1, ""))
        if not first.startswith(">"):
            raise UserError(
                f"{receipt.root / file} is not FASTA: expected > and a name in line {number}, but found {first[:40]!r}."
            )
        stream.seek(0)
        for number, (header, sequence) in enumerate(SimpleFastaParser(stream), start=1):
            yield f"{file}, record {number}", header, sequence


def _finder(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)

    def find(header: str) -> str | None:
        match = compiled.search(header)
        return match[1] if match else None

    return find


def _table_of_labels(table: dict[str, str], settings: dict[str, Any], receipt: Receipt) -> Callable[[str], str | None]:
    """Look labels up by the first word of a header; a name that the table lacks has none."""
    found: dict[str, str] = {}
    columns = [table["item"], table["target"]]
    for number, (item, target) in read_plain(find_file(receipt, table["file"]), columns, settings["encoding"]):
        if item in found:
            raise UserError(f"{table['file']}, line {number}: {item!r} has a label already; remove one of the two.")
        found[item] = (target or "").strip()
    return lambda header: found.get(header.split(maxsplit=1)[0] if header else "") or None
