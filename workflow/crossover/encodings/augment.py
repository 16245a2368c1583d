"""Random changes of training images, drawn for each step from the run's seed and the step alone."""

from typing import Any

import numpy as np
from PIL import Image

from crossover.encodings.patches import cut_images, paste_images

PADDING = 4  # pixels
ANGLE = 20.0  # degrees


class Augmentation:
    """Lu et al.'s (2021) for CIFAR-10, as torchvision does it in their code.

    RandomCrop(32, padding=4), RandomHorizontalFlip() and RandomRotation(20), in this order; what comes in from outside the
    image is black, and a rotated pixel is the nearest one.
    """

    def __init__(self, image: dict[str, Any], seed: int) -> None:
        """`image` is that of encoding.json: shape (rows, columns, channels) and patch (rows, columns)."""
        self.shape, self.patch, self.seed = image["shape"], image["patch"], seed

    def __call__(self, patches: np.ndarray, step: int) -> np.ndarray:
        """Change the images of a step, uint8 [images, patches, values of a patch]."""
        rng = np.random.default_rng([self.seed, step])
        count = len(patches)
        images = paste_images(patches, self.shape, self.patch)
        images = crop(images, rng.integers(0, 2 * PADDING + 1, (count, 2)))
        images = flip(images, rng.random(count) < 0.5)
        images = rotate(images, rng.uniform(-ANGLE, ANGLE, count))
        return cut_images(images, self.patch).reshape(patches.shape)


def crop(images: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Cut images of the old size out of padded ones.

    Args:
        images: uint8 [images, rows, columns, channels].
        corners: the upper left corner of each in its padded image, int [images, 2].
    """
    count, rows, columns, _ = images.shape
    padded = np.pad(images, ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0)))
    down = corners[:, :1] + np.arange(rows)
    right = corners[:, 1:] + np.arange(columns)
    return padded[np.arange(count)[:, None, None], down[:, :, None], right[:, None, :]]


def flip(images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Exchange left and right in the chosen images, bool [images]."""
    return np.where(chosen[:, None, None, None], images[:, :, ::-1], images)


def rotate(images: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Turn each image around its centre, by degrees counter-clockwise, float [images]."""
    turned = np.empty_like(images)
    for image, angle, target in zip(images, angles, turned, strict=True):
        picture = Image.fromarray(image if image.shape[2] > 1 else image[:, :, 0])
        target[:] = np.asarray(picture.rotate(angle, Image.Resampling.NEAREST)).reshape(image.shape)
    return turned
