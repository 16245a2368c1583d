"""Print what a command has found: text into pipes and files, tables on a terminal, JSON where it is asked for."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # rich is imported for terminals alone
    from rich.console import RenderableType
    from rich.table import Table

Row = tuple[str, ...]


class Report(Protocol):
    """What a command has found, in three forms."""

    def text(self) -> str:
        """Return plain text, the same on every terminal and in every pipe."""

    def facts(self) -> Any:
        """Return JSON values."""

    def page(self) -> "RenderableType":
        """Return what a terminal shows."""


def show(report: Report, as_json: bool) -> None:
    """Print a report: as JSON if that is asked for, else as the place that it goes to can show it."""
    if as_json:
        print(json.dumps(report.facts(), indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(report.page())
    else:
        print(report.text())


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on a terminal that something takes a while."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(what):
            yield
    else:
        yield


def aligned(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table, the first column flush left and the others flush right."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        "  ".join(
            [row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))]
        ).rstrip()
        for row in rows
    ]


def table(head: Row, rows: Sequence[Row], numbers: bool = False) -> "Table":
    """Return a table for a terminal.

    Args:
        head: the names of the columns.
        rows: the cells.
        numbers: flush all columns but the first right.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    found = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(head):
        found.add_column(Text(name), justify="right" if numbers and place else "left", overflow="fold")
    for row in rows:
        found.add_row(*map(Text, row))
    return found
