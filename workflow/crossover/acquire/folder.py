"""A user's own files, read in place: only the receipt is written."""

from pathlib import Path
from typing import Any

from crossover.acquire.registry import Acquired
from crossover.errors import UserError
from crossover.files import tree_digest, visible_files


def acquire(settings: dict[str, Any], folder: Path, workers: int) -> Acquired:
    """List the visible files below `path`, which must still be those that were planned with.

    Raises:
        UserError: the files have changed.
    """
    root = Path(settings["path"])
    if tree_digest(root) != settings["sha256"]:
        raise UserError(f"the files in {root} have changed since this was planned; run snakemake again.")
    files = [path.as_posix() for path in visible_files(root)]
    return Acquired(root, files, {"origin": settings["path"], "version": settings["sha256"]})
