"""Find, and delete when told to, what no study uses any more: `crossover prune`."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crossover.acquire.transfer.checksums import CHECKSUMS
from crossover.commands.output import table
from crossover.config.load import requestable_studies
from crossover.errors import UserError
from crossover.planning.plan import make_plan
from crossover.planning.snapshot import superseded_plans
from crossover.runs.lock import is_held
from crossover.runtime.orphans import jobs_here

if TYPE_CHECKING:
    from rich.console import RenderableType

# Folders whose entries are named after specs: <name>/ or <name>.json
NAMED = (
    "resources/downloads",
    "results/specs",
    "results/tasks",
    "results/tokens",
    "results/checkpoints",
    "results/architectures",
    "results/trained",
    "results/runs",
    "results/analyses",
    "results/baselines",
)


@dataclass(frozen=True)
class Entry:
    """A file or folder that no study uses.

    Attributes:
        path: where it lies.
        bytes: its size; None if it is kept, since it may not be readable.
        kept_because: why it is kept all the same, or an empty text.
    """

    path: Path
    bytes: int | None
    kept_because: str

    @property
    def remark(self) -> str:
        """Its size, or why it is kept."""
        return self.kept_because or f"{(self.bytes or 0) / 1e6:.1f} MB"


@dataclass(frozen=True)
class Unused:
    """What no study uses any more.

    Attributes:
        entries: the files and folders, those that are kept all the same last.
        hint: what keeps the others from being deleted, or an empty text.
        deleted: whether they were deleted.
    """

    entries: tuple[Entry, ...]
    hint: str
    deleted: bool

    def foot(self) -> list[str]:
        """Return the sums and what to do, in sentences."""
        listed = [entry for entry in self.entries if not entry.kept_because]
        if not listed:
            return [f"Nothing to delete: every {'other ' if self.entries else ''}file is used by a study."]
        what = f"{len(listed)} entries, {sum(entry.bytes or 0 for entry in listed) / 1e6:.1f} MB, "
        if self.deleted:
            return [f"{what}were deleted."]
        return [*filter(None, [self.hint]), f"{what}are used by no study; crossover prune --delete deletes them."]

    def text(self) -> str:
        """Return a line for each entry, and the sums."""
        return "\n".join([*(f"{entry.remark:>14}  {entry.path}" for entry in self.entries), *self.foot()])

    def facts(self) -> dict[str, object]:
        """Return path and size of each entry, and why it is kept."""
        entries = [
            {"path": str(entry.path), "bytes": entry.bytes, "kept_because": entry.kept_because or None}
            for entry in self.entries
        ]
        return {"entries": entries, "deleted": self.deleted, "hint": self.hint or None}

    def page(self) -> "RenderableType":
        """Return a table of the entries, and the sums."""
        from rich.console import Group

        rows = [(str(entry.path), entry.remark) for entry in self.entries]
        return Group(*([table(("no study uses", "size"), rows, numbers=True)] if rows else []), *self.foot())


def prune(further_studies: list[str], delete: bool) -> Unused:
    """List, or delete, what neither the studies of config/studies/ nor the further ones use.

    What is being computed right now, or holds another user's files, is left alone. Logs stay.

    Args:
        further_studies: paths of study files outside config/studies/ whose results are to be kept.
        delete: delete what is listed.

    Raises:
        UserError: a study cannot be planned, or there are results of a study whose file is not known; nothing is
            deleted then.
    """
    plans = [make_plan(study) for study in [*requestable_studies(), *further_studies]]
    used = {CHECKSUMS.removesuffix(".json"), *(name for plan in plans for name in (*plan.specs, plan.study.name))}
    unused = sorted(path for folder in NAMED for path in _entries(Path(folder)) if _name(path) not in used)
    superseded = superseded_plans()
    busy = superseded if superseded and jobs_here() else []  # one of the jobs may use one of them
    entries = sorted(
        (_entry(path, busy) for path in [*unused, *superseded]), key=lambda entry: bool(entry.kept_because)
    )
    listed = [entry.path for entry in entries if not entry.kept_because]
    hint = _hint({plan.name for plan in plans}) if listed else ""
    if delete and hint:
        raise UserError(hint)
    for path in listed if delete else []:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return Unused(tuple(entries), hint, delete)


def _hint(planned: set[str]) -> str:
    """Say what to do about results of a study whose file is not known, or nothing if there are none."""
    strangers = sorted(path.name for path in _entries(Path("results/studies")) if path.name not in planned)
    if not strangers:
        return ""
    return (
        f"results/studies/{strangers[0]} was made by a study that is not in config/studies/; "
        f"keep its runs with --study PATH, or delete results/studies/{strangers[0]} to give them up."
    )


def _entry(path: Path, busy: list[Path]) -> Entry:
    reason = _reason_to_keep(path, busy)
    return Entry(path, None if reason else _size(path), reason)


def _entries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []


def _reason_to_keep(path: Path, busy: list[Path]) -> str:
    """Why an unused entry is not to be deleted, or an empty text."""

    def of_another(file: Path) -> bool:
        return file.lstat().st_uid != os.geteuid()

    locks = list(path.rglob(".lock"))
    if any(map(of_another, [path, *locks])):  # asked first, since another's lock may not be readable
        return "another user's"
    if path in busy:
        return "in use"
    if any(map(is_held, locks)):  # asked before the rest, since files come and go where a run is being computed
        return "in use"
    return "another user's" if any(map(of_another, path.rglob("*"))) else ""


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.name.removesuffix(".json")


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
