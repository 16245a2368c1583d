"""Image files with labels by folder or in a table."""

from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from PIL import Image

from crossover.config.media_readers import ImageFolderReader, ImageOptions
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt, SkippedInput
from crossover.tasks.items import Items
from crossover.tasks.readers.labels import read_labels, split_of

# What Pillow raises for damaged files, and for those whose pixels would exhaust the memory.
UNREADABLE = (OSError, ValueError, TypeError, SyntaxError, RuntimeError, Image.DecompressionBombError)


def read(reader: ImageFolderReader, receipt: Receipt) -> Items:
    """Read images of one size.

    Args:
        reader: its settings.
        receipt: of files at `<class>/.../<image>` or `<split>/<class>/.../<image>`, or anywhere with a table of labels; in
            any format that Pillow supports.

    Returns:
        One item per image; `sequence` is uint8 [rows * columns * channels], row by row, channels last.

    Raises:
        UserError: a file is not an image, or not of the size of the first, or the labels do not fit the files.
    """
    labels, skipped = read_labels(reader, receipt, image_suffixes())
    loader = ImageLoader(reader)
    loaded = {file: loader.load(receipt.root / file, str(receipt.root / file), file) for file in labels}
    images = {file: pixels for file, pixels in loaded.items() if pixels is not None}
    if not images:
        raise UserError(f"{receipt.root} has no readable image; put images there, one folder per class.")
    names = list(images)
    columns = {"item": names, "group": names, "sequence": [pixels.ravel() for pixels in images.values()]}
    table = pd.DataFrame({**columns, "target": [labels[name] for name in names]})
    if reader.split_folders:
        table["split"] = [split_of(receipt, file) for file in names]
    return Items(table, unit="pixels", shape=loader.shape, skipped=skipped + loader.skipped)


def image_suffixes() -> set[str]:
    """Return the endings of the files that Pillow reads, in lower case."""
    return {suffix for suffix, form in Image.registered_extensions().items() if form in Image.OPEN}


class ImageLoader:
    """Loads images, which must all have one size.

    Attributes:
        shape: rows, columns and, for colours, channels; None before the first image.
        skipped: files that are not complete images, if these are to be skipped.
    """

    def __init__(self, options: ImageOptions) -> None:
        """Load images as these options say."""
        self.options = options
        self.shape: tuple[int, ...] | None = None
        self.first = ""
        self.skipped: list[SkippedInput] = []

    def load(self, file: Path | IO[bytes], name: str, listed: str) -> np.ndarray | None:
        """Load an image, uint8 [rows, columns] or [rows, columns, channels].

        Args:
            file: the file or its content.
            name: of the image in error messages.
            listed: its name among the skipped inputs.

        Returns:
            The image; None if it is skipped.

        Raises:
            UserError: it is not a complete image and is not to be skipped, or is not of the size of the first.
        """
        try:
            pixels = load_image(file, name, self.options)
        except UserError as error:
            if self.options.damaged == "refuse":
                raise
            self.skipped.append(SkippedInput(input=listed, reason=str(error)))
            return None
        if self.shape is None:
            self.shape, self.first = pixels.shape, name
        if pixels.shape != self.shape:
            raise UserError(
                f"{name} has {_size(pixels.shape)} pixels, but {self.first} has {_size(self.shape)}; "
                "set reader.resize to [rows, columns], or remove it."
            )
        return pixels


def load_image(file: Path | IO[bytes], name: str, options: ImageOptions) -> np.ndarray:
    """Load one image, uint8 [rows, columns], or [rows, columns, 3] in colour.

    Args:
        file: the file or its content.
        name: of the image in error messages.
        options: colour and size.

    Raises:
        UserError: it is not a complete image.
    """
    try:
        with Image.open(file) as picture:
            image = _to_8_bits(picture, name).convert("RGB" if options.colour else "L")
    except UNREADABLE as error:
        raise UserError(f"{name} is not a complete image ({error}); replace or remove it.") from error
    if options.resize:
        rows, columns = options.resize
        image = image.resize((columns, rows), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _to_8_bits(picture: Image.Image, name: str) -> Image.Image:
    """Return the image with 8 bits per channel. Pillow itself would clip 16 bits, so that nearly all pixels became white."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in "IF":
        raise UserError(f"{name} has 32-bit pixels, whose range is unknown; save it with 8 or 16 bits.")
    return picture


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape[:2]))
