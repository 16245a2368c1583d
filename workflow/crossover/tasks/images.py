"""Image files with labels by folder or in a table."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items
from crossover.tasks.labels import read_labels


def read(settings: dict[str, Any], receipt: Receipt) -> Items:
    """Images of one size.

    Args:
        settings: `labels` (None for one folder per class, or those of `read_labels`), `colour` (False for gray), `resize`
            ([rows, columns], or None where all are of one size), and `damaged` ("refuse", or "skip").
        receipt: files at `<class>/.../<image>`, or anywhere with a table; whatever Pillow reads.

    Returns:
        One item per image; `sequence` is uint8 [rows * columns * channels], row by row, channels last.

    Raises:
        UserError: a file is no image, or of another size than the first, or the labels do not fit the files.
    """
    labels, skipped = read_labels(receipt, settings["labels"])
    images: dict[str, np.ndarray] = {}
    for file in labels:
        try:
            pixels = _read_image(receipt.root / file, settings)
        except UserError as error:
            if settings["damaged"] == "refuse":
                raise
            skipped.append({"input": file, "reason": str(error)})
            continue
        first = next(iter(images), file)
        if pixels.shape != images.get(first, pixels).shape:
            raise UserError(
                f"{receipt.root / file} has {_size(pixels)} pixels, but {receipt.root / first} has {_size(images[first])}; "
                "set reader.resize to [rows, columns], or remove it."
            )
        images[file] = pixels
    if not images:
        raise UserError(f"{receipt.root} has no image that can be read; put images there, one folder per class.")
    shape = next(iter(images.values())).shape
    names = list(images)
    columns = {"item": names, "group": names, "sequence": [pixels.ravel() for pixels in images.values()]}
    table = pd.DataFrame({**columns, "target": [labels[name] for name in names]})
    return Items(table, unit="pixels", shape=shape, skipped=skipped)


def _read_image(path: Path, settings: dict[str, Any]) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            image = picture.convert("RGB" if settings["colour"] else "L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is no whole image ({error}); replace it, or remove it.") from error
    if settings["resize"]:
        rows, columns = settings["resize"]
        image = image.resize((columns, rows), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _size(pixels: np.ndarray) -> str:
    return " x ".join(map(str, pixels.shape[:2]))
