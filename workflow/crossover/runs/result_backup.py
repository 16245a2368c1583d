"""Results that are kept a second time until the whole study has succeeded.

Snakemake deletes the outputs of a job that it takes for failed: of all runs of a batch when one of them fails, of a
job whose node died just after it had finished, and of one that an earlier Snakemake, killed meanwhile, had started.
What was computed is not computed again: it is put back.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from crossover.errors import UserError
from crossover.runs.files import FILES, checked_provenance, run_folder

log = logging.getLogger(__name__)
FOLDER = "finished"  # in the run's folder, where no rule declares it


def keep(out: Path) -> None:
    """Keep links to a run's results beside them.

    Args:
        out: the run's folder with its seed.
    """
    forget(out)
    temporary = Path(tempfile.mkdtemp(dir=out, prefix=f".{FOLDER}."))
    for name in FILES:
        _link(out / name, temporary / name)
    temporary.rename(out / FOLDER)


def restore(out: Path) -> bool:
    """Put a run's kept results back; return whether there were any that are still whole."""
    folder = out / FOLDER
    try:
        checked_provenance(folder)
    except UserError as error:
        if folder.exists():
            log.warning("the kept results are not used: %s", error)
        return False
    for name in FILES:
        (out / name).unlink(missing_ok=True)
        _link(folder / name, out / name)
    return True


def forget(out: Path) -> None:
    """Remove what was kept."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)


def folders_of(runs: Iterable[tuple[str, int]]) -> list[Path]:
    """Return the folders of runs, given by name and seed, that have kept results."""
    folders = [run_folder(run, seed) for run, seed in runs]
    return [folder for folder in folders if (folder / FOLDER).is_dir()]


def restore_missing(runs: Iterable[tuple[str, int]]) -> int:
    """Put back the results that Snakemake has removed although their runs had finished; return how many runs."""
    return sum(restore(out) for out in folders_of(runs) if not (out / "provenance.json").exists())


def forget_all(runs: Iterable[tuple[str, int]]) -> None:
    """Remove what was kept of runs."""
    for out in folders_of(runs):
        forget(out)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
        os.utime(target)
