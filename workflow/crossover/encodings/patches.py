"""Images and series of numbers as patches."""

from dataclasses import dataclass
from math import prod

import numpy as np
import pyarrow as pa

from crossover.encodings.encoder import Encoded, Items, Settings, column, list_lengths, require_type
from crossover.errors import UserError

BRIGHTEST = 255  # of a pixel stored as a byte


def cut_images(pixels: np.ndarray, patch: list[int]) -> np.ndarray:
    """Cut images of one size into rectangles.

    Args:
        pixels: [images, rows, columns, channels].
        patch: rows and columns of a patch.

    Returns:
        [images * patches, values of a patch]: the patches of an image from left to right and from top to bottom, the
        pixels of a patch likewise, the channels of a pixel side by side.

    Raises:
        UserError: the patch does not divide the image.
    """
    images, height, width, channels = pixels.shape
    if len(patch) != 2 or height % patch[0] or width % patch[1]:
        raise UserError(
            f"a patch of {_size(patch)} does not divide images of {height} x {width}; "
            "set encoding.patch to [rows, columns] that do."
        )
    # A row of a patch is moved as one piece: several times as fast as pixel by pixel.
    row = np.dtype(f"V{patch[1] * channels * pixels.itemsize}")
    grid = np.ascontiguousarray(pixels).reshape(images, height // patch[0], patch[0], width * channels).view(row)
    return np.ascontiguousarray(grid.swapaxes(2, 3)).view(pixels.dtype).reshape(-1, prod(patch) * channels)


def paste_images(patches: np.ndarray, shape: list[int], patch: list[int]) -> np.ndarray:
    """The inverse of `cut_images`.

    Args:
        patches: [images * patches, values of a patch].
        shape: rows, columns and channels of an image.
        patch: rows and columns of a patch.

    Returns:
        [images, rows, columns, channels].
    """
    grid = patches.reshape(-1, shape[0] // patch[0], shape[1] // patch[1], *patch, shape[2])
    return np.ascontiguousarray(grid.swapaxes(2, 3)).reshape(-1, *shape)


def cut_series(values: np.ndarray, lengths: np.ndarray, patch: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Cut series into runs.

    Args:
        values: [values of all].
        lengths: int64 [items], the values of each series.
        patch: the values of a patch.

    Returns:
        [patches of all, values of a patch], and the patches of each series, int64 [items].

    Raises:
        UserError: the patch does not divide a series.
    """
    if len(patch) != 1 or (lengths % patch[0]).any():
        raise UserError(
            f"a patch of {_size(patch)} does not divide series of {lengths.min()} to {lengths.max()} values; "
            "set encoding.patch to [length] that divides them all."
        )
    return values.reshape(-1, patch[0]), lengths // patch[0]


def to_gray(pixels: np.ndarray) -> np.ndarray:
    """The luma of ITU-R BT.601, uint8 [images, rows, columns, 1], rounded as Pillow and torchvision round it.

    Args:
        pixels: uint8 [images, rows, columns, 3], red, green and blue.
    """
    weights = np.array([19595, 38470, 7471], dtype=np.uint32)  # 0.299, 0.587 and 0.114 in units of 2 ** -16
    return ((pixels @ weights + 0x8000) >> 16).astype(np.uint8)[..., None]


@dataclass(frozen=True)
class SeriesEncoder:
    """Runs of a series of numbers."""

    patch: list[int]

    @property
    def facts(self) -> Settings:
        """The width of a patch."""
        return {"kind": "patches", "vocabulary": None, "width": self.patch[0]}

    def encode(self, table: pa.Table) -> Encoded:
        """Runs of each series."""
        values = column(table, "sequence")
        return Encoded(*cut_series(values.flatten().to_numpy(), list_lengths(values), self.patch))

    def decode(self, values: np.ndarray) -> np.ndarray:
        """The series of one item."""
        return values.ravel()


@dataclass(frozen=True)
class ImageEncoder:
    """Rectangles of images; pixels that are bytes are stored as bytes, and scaled when they are read.

    Attributes:
        patch: rows and columns of a patch.
        shape: rows, columns and channels of a raw image.
        pad: rows and columns of zeros added at each side.
        gray: whether colours become their luma.
        scaling: `scale`, `mean` and `std` (one for each channel): training reads (value * scale - mean) / std.
        augment: what changes training images, or None.
    """

    patch: list[int]
    shape: list[int]
    pad: int
    gray: bool
    scaling: Settings
    augment: str | None

    @property
    def encoded_shape(self) -> list[int]:
        """Rows, columns and channels of an image as it is cut."""
        rows, columns, channels = self.shape
        return [rows + 2 * self.pad, columns + 2 * self.pad, 1 if self.gray else channels]

    @property
    def facts(self) -> Settings:
        """The width of a patch, and how values are read."""
        shape = self.encoded_shape
        facts = {"kind": "patches", "vocabulary": None, "width": prod(self.patch) * shape[2], "scaling": self.scaling}
        return facts | {"image": {"shape": shape, "patch": self.patch, "augment": self.augment}}

    def encode(self, table: pa.Table) -> Encoded:
        """Rectangles of each image."""
        pixels = column(table, "sequence").flatten().to_numpy().reshape(-1, *self.shape)
        if self.gray:
            pixels = to_gray(pixels)
        if self.pad:
            pixels = np.pad(pixels, ((0, 0), (self.pad, self.pad), (self.pad, self.pad), (0, 0)))
        patches = cut_images(pixels, self.patch)
        return Encoded(patches, np.full(len(table), len(patches) // len(table), dtype=np.int64))

    def decode(self, values: np.ndarray) -> np.ndarray:
        """The pixels of one item, row by row, without the padding."""
        [image] = paste_images(values, self.encoded_shape, self.patch)
        rows, columns, _ = self.shape
        return image[self.pad : self.pad + rows, self.pad : self.pad + columns].ravel()


def make_encoder(settings: Settings, card: Settings, training: Items) -> SeriesEncoder | ImageEncoder:
    """The encoder of images where the card has a shape, else of series.

    Raises:
        UserError: the sequences are no numbers, or a setting does not fit the images.
    """
    require_type(card, training, "patches", "list<element: float>", "list<element: uint8>")
    image_settings = [name for name in ("pad", "grayscale", "mean", "std", "augment") if settings[name]]
    if card["shape"] is None:
        if image_settings:
            raise UserError(
                f"encoding.{image_settings[0]} is for images, but task {card['task']!r} has series; leave it out."
            )
        return SeriesEncoder(settings["patch"])
    shape = [*card["shape"], 1][:3]
    as_bytes = str(training.schema.field("sequence").type) == "list<element: uint8>"
    if settings["grayscale"] and not (as_bytes and shape[2] == 3):
        raise UserError(
            f"encoding.grayscale needs colour images, but those of task {card['task']!r} have no three channels."
        )
    if settings["augment"] and not as_bytes:
        raise UserError(f"encoding.augment needs pixels of 0 to 255, but those of task {card['task']!r} are numbers.")
    channels = 1 if settings["grayscale"] else shape[2]
    scaling = {
        "scale": 1 / BRIGHTEST if as_bytes else 1.0,
        "mean": _by_channel("mean", settings["mean"] or [0.0] * channels, channels),
        "std": _by_channel("std", settings["std"] or [1.0] * channels, channels),
    }
    return ImageEncoder(
        settings["patch"], shape, settings["pad"], settings["grayscale"], scaling, settings["augment"]
    )  # fmt: skip


def _by_channel(name: str, values: list[float], channels: int) -> list[float]:
    if len(values) != channels:
        raise UserError(
            f"encoding.{name} has {len(values)} values, but the images have {channels} channels; give one for each."
        )
    return values


def _size(numbers: list[int]) -> str:
    return " x ".join(map(str, numbers))
