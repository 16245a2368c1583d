"""Use a user's own files in place; only the receipt is written."""

from pathlib import Path

from crossover.acquire.acquired import Acquired
from crossover.config.datasets import FolderDataset
from crossover.errors import UserError
from crossover.files import sha256, tree_digest, visible_files
from crossover.specs.datasets import DatasetSpec


def acquire(dataset: FolderDataset, spec: DatasetSpec, folder: Path, workers: int) -> Acquired:
    """List the visible files in the folder `path`, or the single file `path`.

    Raises:
        UserError: the files have changed since planning.
    """
    root = Path(dataset.path)
    if root.is_file():
        if sha256(root) != spec.sha256:
            raise UserError(f"{root} has changed since this was planned; run snakemake again.")
        return Acquired(root.parent, [root.name], origin=dataset.path, version=spec.sha256)
    if tree_digest(root) != spec.sha256:
        raise UserError(f"the files in {root} have changed since this was planned; run snakemake again.")
    files = [path.as_posix() for path in visible_files(root)]
    return Acquired(root, files, origin=dataset.path, version=spec.sha256)
