"""FASTA files: one item per record."""

import re
from collections.abc import Callable, Iterator

from crossover.config.text_readers import FastaReader, LabelTable
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt
from crossover.tasks.items import Items
from crossover.tasks.readers.raw import RawItem, files_by_split, find_file, gather
from crossover.tasks.readers.rows import read_plain
from crossover.text_files import open_text

HeaderPart = Callable[[str], str | None]  # finds in a header a label, a group or a split; None if it is not there


def read(reader: FastaReader, receipt: Receipt) -> Items:
    """Read FASTA records, and find label, group and split in their headers.

    Args:
        reader: its settings.
        receipt: of the raw files.

    Returns:
        One item per record, named by the first word of its header; its letters as they are, without line ends.

    Raises:
        UserError: a file is not FASTA, or the table of labels cannot be read or has a name twice.
    """
    return gather(_raw_items(reader, receipt), reader, receipt, unit="letters")


def _raw_items(reader: FastaReader, receipt: Receipt) -> Iterator[RawItem]:
    find_label = _labels_in_headers(reader, receipt)
    find_group = _pattern(reader.group) if reader.group else None
    find_split = _pattern(reader.split) if reader.split else None
    for split, file in files_by_split(reader, receipt):
        for source, header, sequence in _records(file, reader.encoding, receipt):
            in_header = (find_split(header) or "train") if find_split else None
            yield RawItem(
                source,
                sequence,
                find_label(header),
                item=header.split(maxsplit=1)[0] if header else None,
                group=(find_group(header) or "") if find_group else None,
                split=split or in_header,
            )


def _records(file: str, encoding: str, receipt: Receipt) -> Iterator[tuple[str, str, str]]:
    """Yield the source, header and sequence of each record, as Biopython reads them."""
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    with open_text(receipt.root / file, encoding) as stream:
        number, first = next(((number, line) for number, line in enumerate(stream, start=1) if line.strip()), (1, ""))
        if not first.startswith(">"):
            raise UserError(
                f"{receipt.root / file} is not FASTA: expected > and a name in line {number}, but found {first[:40]!r}."
            )
        stream.seek(0)
        for number, (header, sequence) in enumerate(SimpleFastaParser(stream), start=1):
            yield f"{file}, record {number}", header, sequence


def _pattern(pattern: str) -> HeaderPart:
    """Return a function that finds what the group of a regular expression captures."""
    compiled = re.compile(pattern)

    def find(header: str) -> str | None:
        match = compiled.search(header)
        return match[1] if match else None

    return find


def _labels_in_headers(reader: FastaReader, receipt: Receipt) -> HeaderPart:
    """Return a function that finds the label of a header: in the header itself, or in a table by its first word."""
    if isinstance(reader.label, str):
        return _pattern(reader.label)
    labels = _read_labels(reader.label, reader.encoding, receipt)
    return lambda header: labels.get(header.split(maxsplit=1)[0] if header else "") or None


def _read_labels(table: LabelTable, encoding: str, receipt: Receipt) -> dict[str, str]:
    """Read the label of each name from a table."""
    labels: dict[str, str] = {}
    for number, (item, target) in read_plain(find_file(receipt, table.file), [table.item, table.target], encoding):
        if item in labels:
            raise UserError(f"{table.file}, line {number}: {item!r} already has a label; remove one of the two lines.")
        labels[item] = (target or "").strip()
    return labels
