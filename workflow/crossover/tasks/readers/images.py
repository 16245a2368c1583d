"""Image files with labels by folder or in a table."""

from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from PIL import Image

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items
from crossover.tasks.readers.labels import Skipped, read_labels, split_of

# What Pillow raises for damaged files, and for those whose pixels would fill the memory.
UNREADABLE = (OSError, ValueError, TypeError, SyntaxError, RuntimeError, Image.DecompressionBombError)


def read(settings: dict[str, Any], receipt: Receipt) -> Items:
    """Images of one size.

    Args:
        settings: those of `read_labels`, `colour` (False for gray), `resize` ([rows, columns], or None where all are of one
            size), and `damaged` ("refuse", or "skip").
        receipt: files at `<class>/.../<image>` or `<split>/<class>/.../<image>`, or anywhere with a table; whatever Pillow
            reads.

    Returns:
        One item per image; `sequence` is uint8 [rows * columns * channels], row by row, channels last.

    Raises:
        UserError: a file is no image, or of another size than the first, or the labels do not fit the files.
    """
    labels, skipped = read_labels(receipt, settings, image_suffixes())
    reader = ImageReader(settings)
    read = {file: reader.read(receipt.root / file, str(receipt.root / file), file) for file in labels}
    images = {file: pixels for file, pixels in read.items() if pixels is not None}
    if not images:
        raise UserError(f"{receipt.root} has no image that can be read; put images there, one folder per class.")
    names = list(images)
    columns = {"item": names, "group": names, "sequence": [pixels.ravel() for pixels in images.values()]}
    table = pd.DataFrame({**columns, "target": [labels[name] for name in names]})
    if settings["split_folders"]:
        table["split"] = [split_of(receipt, file) for file in names]
    return Items(table, unit="pixels", shape=reader.shape, skipped=skipped + reader.skipped)


def image_suffixes() -> set[str]:
    """The endings of the files that Pillow reads, in lower case."""
    return {suffix for suffix, form in Image.registered_extensions().items() if form in Image.OPEN}


class ImageReader:
    """Reads images of one size.

    Attributes:
        shape: rows and columns, for colours channels too; None before the first image.
        skipped: what is no image, where that is to be passed over.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        """`settings` are `colour`, `resize` and `damaged`."""
        self.settings = settings
        self.shape: tuple[int, ...] | None = None
        self.first = ""
        self.skipped: Skipped = []

    def read(self, file: Path | IO[bytes], name: str, listed: str) -> np.ndarray | None:
        """Read an image, uint8 [rows, columns] or [rows, columns, channels].

        Args:
            file: whatever Pillow reads.
            name: what an error calls it.
            listed: what it is called among those that are passed over.

        Returns:
            The image, or None when it is passed over.

        Raises:
            UserError: it is no whole image, where that is not to be passed over, or of another size than the first.
        """
        try:
            pixels = read_image(file, name, self.settings)
        except UserError as error:
            if self.settings["damaged"] == "refuse":
                raise
            self.skipped.append({"input": listed, "reason": str(error)})
            return None
        if self.shape is None:
            self.shape, self.first = pixels.shape, name
        if pixels.shape != self.shape:
            raise UserError(
                f"{name} has {_size(pixels.shape)} pixels, but {self.first} has {_size(self.shape)}; "
                "set reader.resize to [rows, columns], or remove it."
            )
        return pixels


def read_image(file: Path | IO[bytes], name: str, settings: dict[str, Any]) -> np.ndarray:
    """One image, uint8 [rows, columns], or [rows, columns, 3] in colour.

    Args:
        file: whatever Pillow reads.
        name: what an error calls it.
        settings: `colour` and `resize`.

    Raises:
        UserError: it is no whole image.
    """
    try:
        with Image.open(file) as picture:
            image = _in_bytes(picture, name).convert("RGB" if settings["colour"] else "L")
    except UNREADABLE as error:
        raise UserError(f"{name} is no whole image ({error}); replace it, or remove it.") from error
    if settings["resize"]:
        rows, columns = settings["resize"]
        image = image.resize((columns, rows), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _in_bytes(picture: Image.Image, name: str) -> Image.Image:
    """The image with 8 bits for each channel, to which Pillow would cut 16 bits, so that all but the darkest were white."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in "IF":
        raise UserError(f"{name} has pixels of 32 bits, whose range is unknown; save it with 8 or 16 bits.")
    return picture


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape[:2]))
