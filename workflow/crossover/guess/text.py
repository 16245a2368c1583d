"""Detect the format of a text file from its first lines."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from crossover.errors import UserError
from crossover.guess.draft import NUMBER, has_few_distinct
from crossover.tasks.generators.listops import OPERATORS
from crossover.tasks.readers.rows import split_rows
from crossover.text_files import open_text

MAX_LINES = 2000  # lines that are looked at
MAX_NAME = 40  # letters; longer cells are not column names
SEPARATORS = "\t,;|"


@dataclass(frozen=True)
class TextFormat:
    """The format of a text file.

    Attributes:
        kind: its name.
        header: for a csv or tsv, whether the first line names the columns.
        quoting: for a csv or tsv, whether quotation marks enclose values.
        separator: for a csv, the separator if it is not a comma.
    """

    kind: Literal["fasta", "three-line", "listops", "csv", "tsv", "json", "jsonl", "parquet"]
    header: bool = True
    quoting: Literal["standard", "none"] = "standard"
    separator: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings of the table reader, besides the columns, that differ from its defaults."""
        values = {"header": self.header, "quoting": self.quoting, "separator": self.separator}
        defaults = {"header": True, "quoting": "standard", "separator": None}
        return {"format": self.kind} | {key: value for key, value in values.items() if value != defaults[key]}


def detect_format(path: Path) -> TextFormat:
    """Detect the format of a text file.

    Raises:
        UserError: the file is empty, is not UTF-8 text, or has an unknown format.
    """
    with path.open("rb") as stream:
        if b"\0" in stream.read(1024) and path.suffix.lower() != ".gz":
            raise UserError(
                f"{path} is not text; use FASTA, csv, tsv, JSON, JSONL or Parquet, convert UTF-16 to UTF-8, unpack archives, "
                "or give the path of the folder of MIDI files or images."
            )
    with open_text(path) as stream:
        lines = [line for line in itertools.islice(stream, MAX_LINES) if line.strip()]
    if not lines:
        raise UserError(f"{path} is empty; give a file with sequences.")
    if re.match(r"\s*<(!doctype|html|\?xml)", lines[0], re.IGNORECASE):
        raise UserError(f"{path} is a web page, not data; download the file itself.")
    if any(line.startswith(">") for line in lines[:5]):  # after a comment
        return TextFormat("three-line" if _has_three_lines([line.strip() for line in lines]) else "fasta")
    separator = _common(lines[:20]) or _common(lines[:1])
    if separator is None:
        raise UserError(
            f"{path}: line 1, {lines[0].strip()[:40]!a}, has no commas or tabs and does not begin with >; save tables as csv "
            "or tsv, and sequences as FASTA."
        )
    if any(operator in line for line in lines[:5] for operator in OPERATORS):
        return TextFormat("listops")
    kind: Literal["csv", "tsv"] = "tsv" if separator == "\t" else "csv"
    loose = kind == "tsv" and any(line.count('"') % 2 for line in lines)  # as in GLUE
    header = _has_header(list(split_rows(lines, separator, plain=loose, strict=False)))
    return TextFormat(kind, header, "none" if loose else "standard", None if separator in "\t," else separator)


def _common(lines: list[str]) -> str | None:
    """Return the first separator that occurs in every line."""
    return next((mark for mark in SEPARATORS if all(mark in line for line in lines)), None)


def _has_three_lines(lines: list[str]) -> bool:
    """Return whether the lines are three-line records, with a number or one of a few short texts as label."""
    names, texts, labels = lines[::3], lines[1::3], lines[2::3]
    begun = all(name.startswith(">") for name in names) and not any(line.startswith(">") for line in texts + labels)
    if not labels or not begun:
        return False
    return all(map(NUMBER.fullmatch, labels)) or (has_few_distinct(labels) and max(map(len, labels)) <= MAX_NAME)


def _has_header(rows: list[list[str]]) -> bool:
    """Return whether the first row is a header: no cell is a sequence, occurs again below, or is a number above numbers."""
    for place, cell in enumerate(map(str.strip, rows[0])):
        below = [row[place].strip() for row in rows[1:] if place < len(row)]
        numbers = NUMBER.fullmatch(cell) and all(NUMBER.fullmatch(value) for value in below if value)
        if cell and (len(cell) > MAX_NAME or re.fullmatch("[ACGTN]{8,}", cell) or cell in below or numbers):
            return False
    return True
