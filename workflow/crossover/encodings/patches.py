"""Images and series of numbers as patches."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import pyarrow as pa

from crossover.config.encodings import PatchesEncoding
from crossover.encodings.encoder import Encoded, ItemBatches, column, list_lengths, require_type
from crossover.errors import UserError
from crossover.specs.descriptions import Card, EncodedImage, EncoderFacts, Scaling

MAX_BYTE = 255  # the brightest pixel
IMAGE_SETTINGS = ("pad", "grayscale", "mean", "std", "augment")


def cut_images(pixels: np.ndarray, patch: Sequence[int]) -> np.ndarray:
    """Cut images of one size into rectangles.

    Args:
        pixels: [images, rows, columns, channels].
        patch: rows and columns of a patch.

    Returns:
        [images * patches, values of a patch]: the patches of an image row by row, the pixels of a patch likewise, channels
        last.

    Raises:
        UserError: the patch does not divide the image.
    """
    images, height, width, channels = pixels.shape
    if len(patch) != 2 or height % patch[0] or width % patch[1]:
        raise UserError(
            f"a patch of {_size(patch)} does not divide images of {height} x {width}; "
            "set encoding.patch to [rows, columns] that do."
        )
    # A row of a patch is moved as one element: several times as fast as pixel by pixel.
    row = np.dtype(f"V{patch[1] * channels * pixels.itemsize}")
    grid = np.ascontiguousarray(pixels).reshape(images, height // patch[0], patch[0], width * channels).view(row)
    return np.ascontiguousarray(grid.swapaxes(2, 3)).view(pixels.dtype).reshape(-1, prod(patch) * channels)


def paste_images(patches: np.ndarray, shape: Sequence[int], patch: Sequence[int]) -> np.ndarray:
    """Put images together from patches: the inverse of `cut_images`.

    Args:
        patches: [images * patches, values of a patch].
        shape: rows, columns and channels of an image.
        patch: rows and columns of a patch.

    Returns:
        [images, rows, columns, channels].
    """
    grid = patches.reshape(-1, shape[0] // patch[0], shape[1] // patch[1], *patch, shape[2])
    return np.ascontiguousarray(grid.swapaxes(2, 3)).reshape(-1, *shape)


def cut_series(values: np.ndarray, lengths: np.ndarray, patch: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Cut series into patches of consecutive values.

    Args:
        values: [values of all].
        lengths: int64 [items], the number of values of each series.
        patch: the number of values of a patch.

    Returns:
        [patches of all, values of a patch], and the number of patches of each series, int64 [items].

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
    """Return the luma of ITU-R BT.601, uint8 [images, rows, columns, 1], rounded as in Pillow and torchvision.

    Args:
        pixels: uint8 [images, rows, columns, 3], red, green and blue.
    """
    weights = np.array([19595, 38470, 7471], dtype=np.uint32)  # 0.299, 0.587 and 0.114 in units of 2 ** -16
    return ((pixels @ weights + 0x8000) >> 16).astype(np.uint8)[..., None]


@dataclass(frozen=True)
class SeriesEncoder:
    """Patches of consecutive values of a series.

    Attributes:
        patch: the number of values of a patch.
    """

    patch: Sequence[int]

    @property
    def facts(self) -> EncoderFacts:
        """Return the width of a patch."""
        return EncoderFacts(kind="patches", width=self.patch[0])

    def encode(self, table: pa.Table) -> Encoded:
        """Return the patches of each series."""
        values = column(table, "sequence")
        return Encoded(*cut_series(values.flatten().to_numpy(), list_lengths(values), self.patch))

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return the series of one item."""
        return values.ravel()


@dataclass(frozen=True)
class ImageEncoder:
    """Rectangles of images. Pixels that are bytes are stored as bytes, and scaled when they are read.

    Attributes:
        patch: rows and columns of a patch.
        shape: rows, columns and channels of a raw image.
        pad: rows and columns of zeros added on each side.
        grayscale: whether colours are converted to luma.
        scaling: how training reads pixels.
        augment: the augmentation of training images; None for none.
    """

    patch: Sequence[int]
    shape: tuple[int, int, int]
    pad: int
    grayscale: bool
    scaling: Scaling
    augment: str | None

    @property
    def encoded_shape(self) -> tuple[int, int, int]:
        """Return rows, columns and channels of an image when it is cut."""
        rows, columns, channels = self.shape
        return rows + 2 * self.pad, columns + 2 * self.pad, 1 if self.grayscale else channels

    @property
    def facts(self) -> EncoderFacts:
        """Return the width of a patch, and how values are read."""
        shape, (rows, columns) = self.encoded_shape, self.patch
        return EncoderFacts(
            kind="patches",
            width=rows * columns * shape[2],
            scaling=self.scaling,
            image=EncodedImage(shape=shape, patch=(rows, columns), augment=self.augment),
        )

    def encode(self, table: pa.Table) -> Encoded:
        """Return the patches of each image."""
        pixels = column(table, "sequence").flatten().to_numpy().reshape(-1, *self.shape)
        if self.grayscale:
            pixels = to_gray(pixels)
        if self.pad:
            pixels = np.pad(pixels, ((0, 0), (self.pad, self.pad), (self.pad, self.pad), (0, 0)))
        patches = cut_images(pixels, self.patch)
        return Encoded(patches, np.full(len(table), len(patches) // len(table), dtype=np.int64))

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return the pixels of one item, row by row, without the padding."""
        [image] = paste_images(values, self.encoded_shape, self.patch)
        rows, columns, _ = self.shape
        pixels: np.ndarray = image[self.pad : self.pad + rows, self.pad : self.pad + columns].ravel()
        return pixels


def make_encoder(encoding: PatchesEncoding, card: Card, training: ItemBatches) -> SeriesEncoder | ImageEncoder:
    """Return the encoder of images if the card has a shape, else that of series.

    Raises:
        UserError: the sequences are not numbers, or a setting does not fit them.
    """
    require_type(card, training, "patches", "list<element: float>", "list<element: uint8>")
    if card.shape is None:
        _refuse_image_settings(encoding, card)
        return SeriesEncoder(encoding.patch)
    rows, columns, channels = (*card.shape, 1)[:3]
    as_bytes = str(training.schema.field("sequence").type) == "list<element: uint8>"
    if encoding.grayscale and not (as_bytes and channels == 3):
        raise UserError(
            f"encoding.grayscale needs colour images, but those of task {card.task!r} do not have three channels."
        )
    if encoding.augment and not as_bytes:
        raise UserError(f"encoding.augment needs pixels of 0 to 255, but those of task {card.task!r} are numbers.")
    encoded_channels = 1 if encoding.grayscale else channels
    scaling = Scaling(
        scale=1 / MAX_BYTE if as_bytes else 1.0,
        mean=_by_channel("mean", encoding.mean or [0.0] * encoded_channels, encoded_channels),
        std=_by_channel("std", encoding.std or [1.0] * encoded_channels, encoded_channels),
    )
    shape = rows, columns, channels
    return ImageEncoder(encoding.patch, shape, encoding.pad, encoding.grayscale, scaling, encoding.augment)


def _refuse_image_settings(encoding: PatchesEncoding, card: Card) -> None:
    for name in IMAGE_SETTINGS:
        if getattr(encoding, name):
            raise UserError(f"encoding.{name} is for images, but task {card.task!r} has series; remove it.")


def _by_channel(name: str, values: list[float], channels: int) -> tuple[float, ...]:
    if len(values) != channels:
        raise UserError(
            f"encoding.{name} has {len(values)} values, but the images have {channels} channels; give one value per channel."
        )
    return tuple(values)


def _size(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers))
