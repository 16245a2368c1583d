"""Augment training images at random, drawn for each step from the run's seed and the step alone."""

import numpy as np
from PIL import Image

from crossover.encodings.patches import cut_images, paste_images
from crossover.specs.descriptions import EncodedImage

PADDING = 4  # pixels
ANGLE = 20.0  # degrees


class Augmentation:
    """The augmentation of Lu et al. (2021) for CIFAR-10, with torchvision in their code.

    RandomCrop(32, padding=4), RandomHorizontalFlip() and RandomRotation(20), in this order; pixels from outside the image
    are black, and rotation takes the nearest pixel.
    """

    def __init__(self, image: EncodedImage, seed: int) -> None:
        """Augment images of this shape and patch size, with the seed of the run."""
        self.shape, self.patch, self.seed = image.shape, image.patch, seed

    def __call__(self, patches: np.ndarray, step: int) -> np.ndarray:
        """Augment the images of a step, uint8 [images, patches, values of a patch]."""
        rng = np.random.default_rng([self.seed, step])
        count = len(patches)
        images = paste_images(patches, self.shape, self.patch)
        images = crop(images, rng.integers(0, 2 * PADDING + 1, (count, 2)))
        images = flip(images, rng.random(count) < 0.5)
        images = rotate(images, rng.uniform(-ANGLE, ANGLE, count))
        return cut_images(images, self.patch).reshape(patches.shape)


def crop(images: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Crop padded images to the original size.

    Args:
        images: uint8 [images, rows, columns, channels].
        corners: the upper left corner of each crop in its padded image, int [images, 2].
    """
    count, rows, columns, _ = images.shape
    padded = np.pad(images, ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0)))
    down = corners[:, :1] + np.arange(rows)
    right = corners[:, 1:] + np.arange(columns)
    return padded[np.arange(count)[:, None, None], down[:, :, None], right[:, None, :]]


def flip(images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Flip the chosen images, bool [images], horizontally."""
    return np.where(chosen[:, None, None, None], images[:, :, ::-1], images)


def rotate(images: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotate each image around its centre, by degrees counter-clockwise, float [images]."""
    rotated = np.empty_like(images)
    for image, angle, target in zip(images, angles, rotated, strict=True):
        picture = Image.fromarray(image if image.shape[2] > 1 else image[:, :, 0])
        target[:] = np.asarray(picture.rotate(angle, Image.Resampling.NEAREST)).reshape(image.shape)
    return rotated
