"""What a text file is, by its first lines."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from crossover.errors import UserError
from crossover.guess.draft import NUMBER, are_few
from crossover.tasks.generators.listops import OPERATORS
from crossover.tasks.readers.raw import open_text
from crossover.tasks.readers.rows import split_rows

FIRST = 2000  # lines that are looked at
LONGEST_NAME = 40  # letters; a longer cell is no name of a column
SEPARATORS = "\t,;|"


@dataclass(frozen=True)
class Form:
    """How a file is written.

    Attributes:
        kind: the form.
        header: of a csv or tsv, whether the first line names its columns.
        quoting: of a csv or tsv, whether quotation marks are more than ordinary characters.
        separator: of a csv, what stands between values where it is no comma.
    """

    kind: Literal["fasta", "three-line", "listops", "csv", "tsv", "json", "jsonl", "parquet"]
    header: bool = True
    quoting: Literal["standard", "none"] = "standard"
    separator: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What the reader of tables must be told beside the columns: all that is not as it expects."""
        told = {"header": self.header, "quoting": self.quoting, "separator": self.separator}
        usual = {"header": True, "quoting": "standard", "separator": None}
        return {"format": self.kind} | {key: value for key, value in told.items() if value != usual[key]}


def form_of(path: Path) -> Form:
    """The form of a text file.

    Raises:
        UserError: it is empty, no text in UTF-8, or of no known form.
    """
    with path.open("rb") as stream:
        if b"\0" in stream.read(1024) and path.suffix.lower() != ".gz":
            raise UserError(
                f"{path} is no text; give FASTA, csv, tsv, JSON, JSONL or Parquet, write UTF-16 as UTF-8, unpack an archive, "
                "or name the folder in which MIDI files or images lie."
            )
    with open_text(path) as stream:
        lines = [line for line in itertools.islice(stream, FIRST) if line.strip()]
    if not lines:
        raise UserError(f"{path} is empty; name a file with sequences in it.")
    if re.match(r"\s*<(!doctype|html|\?xml)", lines[0], re.IGNORECASE):
        raise UserError(f"{path} is a web page, not data; download the file itself.")
    if any(line.startswith(">") for line in lines[:5]):  # after a comment
        return Form("three-line" if _has_three_lines([line.strip() for line in lines]) else "fasta")
    separator = _common(lines[:20]) or _common(lines[:1])
    if separator is None:
        raise UserError(
            f"{path}: line 1, {lines[0].strip()[:40]!a}, has no commas or tabs, nor does it begin with >; write a table as csv "
            "or tsv, sequences as FASTA."
        )
    if any(operator in line for line in lines[:5] for operator in OPERATORS):
        return Form("listops")
    kind: Literal["csv", "tsv"] = "tsv" if separator == "\t" else "csv"
    loose = kind == "tsv" and any(line.count('"') % 2 for line in lines)  # as in the files of GLUE
    header = _has_header(list(split_rows(lines, separator, plain=loose, strict=False)))
    return Form(kind, header, "none" if loose else "standard", None if separator in "\t," else separator)


def _common(lines: list[str]) -> str | None:
    """The first of the separators that is in every line."""
    return next((mark for mark in SEPARATORS if all(mark in line for line in lines)), None)


def _has_three_lines(lines: list[str]) -> bool:
    """Whether every third line begins a record, whose last line is a label: a number, or one of a few short texts."""
    names, texts, labels = lines[::3], lines[1::3], lines[2::3]
    begun = all(name.startswith(">") for name in names) and not any(line.startswith(">") for line in texts + labels)
    if not labels or not begun:
        return False
    return all(map(NUMBER.fullmatch, labels)) or (are_few(labels) and max(map(len, labels)) <= LONGEST_NAME)


def _has_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: no cell of it is a sequence, comes again below, or is a number among numbers."""
    for place, cell in enumerate(map(str.strip, rows[0])):
        below = [row[place].strip() for row in rows[1:] if place < len(row)]
        numbers = NUMBER.fullmatch(cell) and all(NUMBER.fullmatch(value) for value in below if value)
        if cell and (len(cell) > LONGEST_NAME or re.fullmatch("[ACGTN]{8,}", cell) or cell in below or numbers):
            return False
    return True
