"""Find, and delete when told to, what no study uses any more."""

import os
import shutil
from pathlib import Path

from crossover.acquire.transfer.checksums import CHECKSUMS
from crossover.config.load import known_names
from crossover.errors import UserError
from crossover.planning.plan import make_plan
from crossover.planning.snapshot import PLANS, superseded_plans
from crossover.runs.lock import is_held
from crossover.runtime.orphans import jobs_here

# Folders whose entries are named after specs: <name>/ or <name>.json
NAMED = (
    "resources/downloads",
    "results/specs",
    "results/tasks",
    "results/tokens",
    "results/checkpoints",
    "results/rates",
    "results/runs",
    "results/analyses",
)


def prune(further_studies: list[str], delete: bool) -> str:
    """List, or delete, what neither the studies of config/studies/ nor the further ones use.

    What is being computed right now, or holds another user's files, is left alone. Logs stay.

    Args:
        further_studies: paths of study files outside config/studies/ whose results are to be kept.
        delete: delete what is listed.

    Returns:
        What to tell the user.

    Raises:
        UserError: a study cannot be planned, or there are results of a study whose file is not known; nothing is
            deleted then.
    """
    plans = [make_plan(study) for study in [*known_names("studies"), *further_studies]]
    used = {CHECKSUMS.removesuffix(".json"), *(name for plan in plans for name in (*plan.specs, plan.study.name))}
    unused = sorted(path for folder in NAMED for path in _entries(Path(folder)) if _name(path) not in used)
    unused += superseded_plans()
    kept = {path: reason for path in unused if (reason := _reason_to_keep(path))}
    unused = [path for path in unused if path not in kept]
    lines = [f"{_size(path) / 1e6:11.1f} MB  {path}" for path in unused]
    lines += [f"{reason:>14}  {path}" for path, reason in kept.items()]
    planned = {plan.name for plan in plans}
    strangers = sorted(path.name for path in _entries(Path("results/studies")) if path.name not in planned)
    if not unused:
        return "\n".join([*lines, f"Nothing to delete: every {'other ' if kept else ''}file is used by a study."])
    if strangers:
        hint = (
            f"results/studies/{strangers[0]} was made by a study that is not in config/studies/; "
            f"keep its runs with --study PATH, or delete results/studies/{strangers[0]} to give them up."
        )
        if delete:
            raise UserError(hint)
        lines.append(hint)
    total = sum(map(_size, unused)) / 1e6
    if not delete:
        return "\n".join(
            [
                *lines,
                f"{len(unused)} entries, {total:.1f} MB, are used by no study; crossover prune --delete deletes them.",
            ]
        )
    for path in unused:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return "\n".join([*lines, f"{len(unused)} entries, {total:.1f} MB, were deleted."])


def _entries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []


def _reason_to_keep(path: Path) -> str:
    """Why an unused entry is not to be deleted, or an empty text."""

    def of_another(file: Path) -> bool:
        return file.lstat().st_uid != os.geteuid()

    locks = list(path.rglob(".lock"))
    if any(map(of_another, [path, *locks])):  # asked first, since another's lock may not be readable
        return "another user's"
    if path.parent == PLANS and jobs_here():  # one of them may use it
        return "in use"
    if any(map(is_held, locks)):  # asked before the rest, since files come and go where a run is being computed
        return "in use"
    return "another user's" if any(map(of_another, path.rglob("*"))) else ""


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.name.removesuffix(".json")


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
