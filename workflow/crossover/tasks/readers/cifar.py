"""CIFAR-10 (Krizhevsky 2009) as the pickled batches of its Python version."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items
from crossover.tasks.readers.pickles import Array, load_data

SIDE, CHANNELS = 32, 3
TRAINING_BATCHES = 5


def read(settings: dict[str, Any], receipt: Receipt) -> Items:
    """Images and labels, in the splits of the data.

    Args:
        settings: no settings besides the reader's kind.
        receipt: the unpacked archive: batches.meta, data_batch_1 to data_batch_5, and test_batch.

    Returns:
        One item per image; `sequence` is uint8 [32 * 32 * 3], row by row, the channels of a pixel side by side; `target` is
        the class's name. What a batch lacks is in the notes.

    Raises:
        UserError: a file is missing, is cut, or holds something else.
    """
    files = {Path(file).name: receipt.root / file for file in receipt.files}
    missing = {"batches.meta", "data_batch_1", "test_batch"} - files.keys()
    if missing:
        raise UserError(f"{receipt.root} has no {min(missing)}; unpack the Python version of CIFAR-10 there.")
    meta = _content(files["batches.meta"], "label_names", "num_cases_per_batch")
    names = [f"data_batch_{number}" for number in range(1, TRAINING_BATCHES + 1)]
    notes = [f"{name} is missing" for name in names if name not in files]
    tables = []
    for name in [*(name for name in names if name in files), "test_batch"]:
        table = _read_batch(files[name], meta["label_names"])
        if len(table) != meta["num_cases_per_batch"]:
            notes.append(f"{name} has {len(table)} of {meta['num_cases_per_batch']} images")
        tables.append(table.assign(split="test" if name == "test_batch" else "train"))
    return Items(pd.concat(tables, ignore_index=True), unit="pixels", shape=(SIDE, SIDE, CHANNELS), notes=notes)


def _read_batch(path: Path, classes: list[str]) -> pd.DataFrame:
    content = _content(path, "data", "labels")
    pixels, labels = content["data"], content["labels"]
    if not isinstance(pixels, Array) or not isinstance(labels, list):
        raise UserError(f"{path} holds no images and labels of CIFAR-10; fetch the archive again.")
    try:
        planes = pixels.read()
    except ValueError as error:
        raise UserError(f"{path} holds {error}; fetch the archive again.") from error
    if (
        planes.dtype != np.uint8
        or planes.shape != (len(labels), CHANNELS * SIDE**2)
        or not set(labels) <= set(range(len(classes)))
    ):
        raise UserError(
            f"{path} has images of shape {planes.shape} in {planes.dtype} and {len(labels)} labels; expected one label of 0 to "
            f"{len(classes) - 1} for each row of {CHANNELS * SIDE**2} bytes: fetch the archive again."
        )
    images = planes.reshape(-1, CHANNELS, SIDE * SIDE).swapaxes(1, 2).reshape(len(labels), -1)
    names = [f"{path.name}-{number:05d}" for number in range(len(labels))]
    targets = [classes[label] for label in labels]
    return pd.DataFrame({"item": names, "group": names, "sequence": list(images), "target": targets})


def _content(path: Path, *keys: str) -> dict[str, Any]:
    """The dict that a file holds; of Python 2 or 3, whose keys are text or bytes."""
    try:
        with path.open("rb") as stream:
            content = load_data(stream)
    except Exception as error:  # a damaged pickle may fail in any way
        raise UserError(
            f"{path} is no whole pickle ({type(error).__name__}: {error}); fetch the archive again."
        ) from error
    if isinstance(content, dict):
        content = {key.decode() if isinstance(key, bytes) else key: value for key, value in content.items()}
        if content.keys() >= set(keys):
            return content
    raise UserError(f"{path} has no {' and '.join(keys)}; fetch the archive again.")
