"""The living processes of this machine, as /proc shows them."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process: its number, its parent's, the name of its program, its arguments, and what it was started with."""

    number: int
    parent: int
    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(compare=False)


def processes() -> list[Process]:
    """Every process that may be looked at; one that has ended and was not waited for has no environment any more."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has just ended, or is another user's
                found.append(_read(folder))
    return found


def descendants(roots: Iterable[Process], among: Iterable[Process]) -> list[Process]:
    """The children of `roots`, their children, and so on."""
    found, parents = [], {root.number for root in roots}
    among = list(among)
    while parents:
        children = [process for process in among if process.parent in parents]
        found += children
        parents = {child.number for child in children}
    return found


def send(signal: int, to: Iterable[Process]) -> None:
    """Send a signal to processes, some of which may have ended meanwhile."""
    for process in to:
        with suppress(ProcessLookupError):
            os.kill(process.number, signal)


def _read(folder: Path) -> Process:
    name, fields = (folder / "stat").read_text(errors="replace").split("(", 1)[1].rsplit(") ", 1)
    return Process(
        number=int(folder.name),
        parent=int(fields.split()[1]),
        name=name,
        command=tuple(_words(folder / "cmdline")),
        environment=dict(word.split("=", 1) for word in _words(folder / "environ") if "=" in word),
    )


def _words(path: Path) -> list[str]:
    return path.read_bytes().decode(errors="replace").rstrip("\0").split("\0")
