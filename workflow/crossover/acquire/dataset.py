"""Acquire the raw files of a dataset, and write the receipt that vouches for them."""

import importlib
import shutil
from pathlib import Path
from typing import Any

from crossover.acquire.receipt import write_receipt
from crossover.acquire.registry import ACQUIRERS, UNFINISHED


def acquire_dataset(spec: dict[str, Any], folder: Path, workers: int = 1) -> None:
    """Bring the raw files of a dataset into `folder` and write their receipt, `dataset.json`, last.

    Args:
        spec: the dataset's spec, with `name`, `dataset` (the settings) and `about` (what its name does not depend on).
        folder: where the files and the receipt go.
        workers: processes that convert scores; the bytes written do not depend on it.

    Raises:
        UserError: the files are not there, or are not those that the spec was made for.
    """
    settings = spec["dataset"]
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{UNFINISHED}*"):  # by a process that was killed
        shutil.rmtree(left)
    module = importlib.import_module(ACQUIRERS[settings["kind"]])
    acquired = module.acquire({**settings, **spec.get("about", {})}, folder, workers)
    facts = {"name": spec["name"], "kind": settings["kind"], **acquired.facts}
    write_receipt(folder / "dataset.json", acquired.root, acquired.files, facts)
