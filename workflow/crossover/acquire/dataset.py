"""Acquire the raw files of a dataset, and write their receipt."""

import importlib
import shutil
from pathlib import Path

from crossover.acquire.acquired import UNFINISHED, Acquired
from crossover.acquire.receipt import write_receipt
from crossover.acquire.registry import ACQUIRERS
from crossover.specs.datasets import DatasetSpec


def acquire_dataset(spec: DatasetSpec, folder: Path, workers: int = 1) -> None:
    """Put the raw files of a dataset into `folder`, and write their receipt, `dataset.json`, last.

    Args:
        spec: the dataset's spec.
        folder: where the files and the receipt go.
        workers: number of processes that convert scores; it does not affect the result.

    Raises:
        UserError: the files are missing, or are not those of the spec.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{UNFINISHED}*"):  # by a killed process
        shutil.rmtree(left)
    module = importlib.import_module(ACQUIRERS[spec.dataset.kind])
    acquired: Acquired = module.acquire(spec.dataset, spec, folder, workers)
    write_receipt(folder / "dataset.json", acquired, spec.name, spec.dataset.kind)
