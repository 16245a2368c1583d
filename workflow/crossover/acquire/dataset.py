"""Acquire the raw files of a dataset, and write their receipt."""

import importlib
import shutil
from pathlib import Path
from typing import Any

from crossover.acquire.receipt import write_receipt
from crossover.acquire.registry import ACQUIRERS, UNFINISHED


def acquire_dataset(spec: dict[str, Any], folder: Path, workers: int = 1) -> None:
    """Put the raw files of a dataset into `folder`, and write their receipt, `dataset.json`, last.

    Args:
        spec: the dataset's spec, with `name`, `dataset` (the settings) and `about` (facts that are not part of its hash).
        folder: where the files and the receipt go.
        workers: number of processes that convert scores; it does not affect the result.

    Raises:
        UserError: the files are missing, or are not those of the spec.
    """
    settings = spec["dataset"]
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{UNFINISHED}*"):  # by a killed process
        shutil.rmtree(left)
    module = importlib.import_module(ACQUIRERS[settings["kind"]])
    acquired = module.acquire({**settings, **spec.get("about", {})}, folder, workers)
    facts = {"name": spec["name"], "kind": settings["kind"], **acquired.facts}
    write_receipt(folder / "dataset.json", acquired.root, acquired.files, facts)
