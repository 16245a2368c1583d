"""Use a user's own files in place; only the receipt is written."""

from pathlib import Path
from typing import Any

from crossover.acquire.registry import Acquired
from crossover.errors import UserError
from crossover.files import sha256, tree_digest, visible_files


def acquire(settings: dict[str, Any], folder: Path, workers: int) -> Acquired:
    """List the visible files in the folder `path`, or the single file `path`.

    Raises:
        UserError: the files have changed since planning.
    """
    root, digest = Path(settings["path"]), settings["sha256"]
    facts = {"origin": settings["path"], "version": digest}
    if root.is_file():
        if sha256(root) != digest:
            raise UserError(f"{root} has changed since this was planned; run snakemake again.")
        return Acquired(root.parent, [root.name], facts)
    if tree_digest(root) != digest:
        raise UserError(f"the files in {root} have changed since this was planned; run snakemake again.")
    return Acquired(root, [path.as_posix() for path in visible_files(root)], facts)
