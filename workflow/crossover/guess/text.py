"""What a text file is, by its first lines."""

import gzip
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crossover.errors import UserError

FIRST = 2000  # lines that are looked at
LONGEST_NAME = 40  # letters; a longer cell is no name of a column
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Form:
    """How a file is written.

    Attributes:
        kind: the form.
        header: of a csv or tsv, whether the first line names its columns.
        quoting: of a csv or tsv, whether quotation marks are more than ordinary characters.
    """

    kind: Literal["fasta", "three-line", "listops", "csv", "tsv", "json", "jsonl", "parquet"]
    header: bool = True
    quoting: Literal["standard", "none"] = "standard"


def open_any(path: Path):
    """Open a text file that may be compressed, and may begin with a byte-order mark."""
    opened: Callable = gzip.open if path.suffix == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig")


def form_of(path: Path) -> Form:
    """The form of a text file.

    Raises:
        UserError: it is empty, or no text in UTF-8.
    """
    try:
        with open_any(path) as stream:
            lines = [line.rstrip("\r\n") for line in itertools.islice(stream, FIRST) if line.strip()]
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{path} is not readable text ({error}); correct it, or write it as UTF-8.") from error
    if not lines:
        raise UserError(f"{path} is empty; name a file with sequences in it.")
    if lines[0].startswith(">"):
        return Form("three-line" if _has_three_lines(lines) else "fasta")
    if any(f"[{name} " in line for line in lines[:5] for name in ("MIN", "MAX", "MED", "SM")):
        return Form("listops")
    if "\t" not in lines[0] and "," not in lines[0]:
        raise UserError(
            f"{path}: the first line has neither commas nor tabs; write the table as csv or tsv, or the sequences as FASTA."
        )
    kind: Literal["csv", "tsv"] = "tsv" if "\t" in lines[0] else "csv"
    cells = [cell.strip().strip('"') for cell in lines[0].split("\t" if kind == "tsv" else ",")]
    loose = kind == "tsv" and any(line.count('"') % 2 for line in lines)  # as in the files of GLUE
    return Form(kind, _are_names(cells), "none" if loose else "standard")


def _has_three_lines(lines: list[str]) -> bool:
    """Whether every third line begins a record, whose last line is shorter than a sequence."""
    records = [lines[start : start + 3] for start in range(0, len(lines) - 2, 3)]
    return all(name.startswith(">") and len(label) < min(LONGEST_NAME, len(text)) for name, text, label in records)


def _are_names(cells: list[str]) -> bool:
    """Whether the cells of a first line could name columns, which no number, no sequence and nothing empty does."""
    plain = all(cell and len(cell) <= LONGEST_NAME and not NUMBER.fullmatch(cell) for cell in cells)
    return plain and len(set(cells)) == len(cells) and not any(re.fullmatch("[ACGTN]{8,}", cell) for cell in cells)
