"""CIFAR-10 (Krizhevsky 2009), from the pickled batches of its Python version."""

from pathlib import Path

import numpy as np
import pandas as pd

from crossover.config.media_readers import CifarReader
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt
from crossover.tasks.items import Items
from crossover.tasks.readers.pickles import Array, load_data

SIDE, CHANNELS = 32, 3
TRAINING_BATCHES = 5


def read(reader: CifarReader, receipt: Receipt) -> Items:
    """Read images and labels, in the splits of the data.

    Args:
        reader: it has no settings.
        receipt: of the unpacked archive: batches.meta, data_batch_1 to data_batch_5, and test_batch.

    Returns:
        One item per image; `sequence` is uint8 [32 * 32 * 3], row by row, channels last; `target` is the name of the class.
        Missing batches and images are in the notes.

    Raises:
        UserError: a file is missing, incomplete, or not of CIFAR-10.
    """
    files = {Path(file).name: receipt.root / file for file in receipt.paths}
    missing = {"batches.meta", "data_batch_1", "test_batch"} - files.keys()
    if missing:
        raise UserError(f"{receipt.root} has no {min(missing)}; unpack the Python version of CIFAR-10 there.")
    classes, expected = _values(files["batches.meta"], "label_names", "num_cases_per_batch")
    if not isinstance(classes, list):
        raise UserError(f"{files['batches.meta']} has no list of label_names; download the archive again.")
    names = [f"data_batch_{number}" for number in range(1, TRAINING_BATCHES + 1)]
    notes = [f"{name} is missing" for name in names if name not in files]
    tables = []
    for name in [*(name for name in names if name in files), "test_batch"]:
        table = _read_batch(files[name], classes)
        if len(table) != expected:
            notes.append(f"{name} has {len(table)} of {expected} images")
        tables.append(table.assign(split="test" if name == "test_batch" else "train"))
    return Items(pd.concat(tables, ignore_index=True), unit="pixels", shape=(SIDE, SIDE, CHANNELS), notes=notes)


def _read_batch(path: Path, classes: list[str]) -> pd.DataFrame:
    pixels, labels = _values(path, "data", "labels")
    if not isinstance(pixels, Array) or not isinstance(labels, list):
        raise UserError(f"{path} does not contain images and labels of CIFAR-10; download the archive again.")
    try:
        planes = pixels.read()
    except ValueError as error:
        raise UserError(f"{path} contains {error}; download the archive again.") from error
    if (
        planes.dtype != np.uint8
        or planes.shape != (len(labels), CHANNELS * SIDE**2)
        or not set(labels) <= set(range(len(classes)))
    ):
        raise UserError(
            f"{path} has images of shape {planes.shape} in {planes.dtype} and {len(labels)} labels; expected one label of 0 to "
            f"{len(classes) - 1} for each row of {CHANNELS * SIDE**2} bytes: download the archive again."
        )
    images = planes.reshape(-1, CHANNELS, SIDE * SIDE).swapaxes(1, 2).reshape(len(labels), -1)
    names = [f"{path.name}-{number:05d}" for number in range(len(labels))]
    targets = [classes[label] for label in labels]
    return pd.DataFrame({"item": names, "group": names, "sequence": list(images), "target": targets})


def _values(path: Path, *keys: str) -> list[object]:
    """Return some values of the dict in a file; its keys are text or, in pickles of Python 2, bytes."""
    try:
        with path.open("rb") as stream:
            content = load_data(stream)
    except Exception as error:  # a damaged pickle can raise any exception
        raise UserError(
            f"{path} is not a complete pickle ({type(error).__name__}: {error}); download the archive again."
        ) from error
    if isinstance(content, dict):
        content = {key.decode() if isinstance(key, bytes) else key: value for key, value in content.items()}
        if content.keys() >= set(keys):
            return [content[key] for key in keys]
    raise UserError(f"{path} has no {' and '.join(keys)}; download the archive again.")
