"""Guesses from images, in files or within a table."""

import itertools
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from PIL import Image

from crossover.errors import UserError
from crossover.guess.draft import LOOKED_AT, Guess, start
from crossover.tasks.readers.images import UNREADABLE

PARTS = 16  # patches along an edge, at most
FEWEST_PARTS = 8  # where an edge allows no more, the image is made smaller


def guess_images(files: Iterable[Path | IO[bytes]], path: Path, name: str, reader: dict[str, Any]) -> Guess:
    """How images are read and cut, by their sizes and colours.

    Args:
        files: the images, or what stands for their files.
        path: where they lie.
        name: of the task.
        reader: what the reader must be told beside.

    Raises:
        UserError: none of them can be opened.
    """
    sizes, modes = Counter[tuple[int, int]](), set[str]()
    for file in itertools.islice(files, LOOKED_AT):
        try:
            with Image.open(file) as image:
                sizes[image.height, image.width] += 1
                modes.add(image.mode)
        except UNREADABLE:
            continue  # check-task names it
    if not sizes:
        raise UserError(f"{path}: none of the images can be opened; correct the files.")
    size = rows, columns = sizes.most_common(1)[0][0]
    (rows, high), (columns, wide) = _fitting(rows), _fitting(columns)
    found = start(name, "images", path, reader)
    if all(mode in ("1", "L", "LA") or mode.startswith("I;16") for mode in modes):
        reader["colour"] = False
    if len(sizes) > 1 or (rows, columns) != size:
        reader["resize"] = [rows, columns]
    found.settings["encoding"] = {"kind": "patches", "patch": [high, wide]}
    count = rows // high * (columns // wide)
    found.remarks["encoding"] = (
        f"Most images have {size[0]} x {size[1]} pixels; {rows} x {columns} make {count} patches."
    )
    found.settings["target"] = {"kind": "class", "metric": "accuracy"}
    return found


def _fitting(pixels: int) -> tuple[int, int]:
    """The length of an edge and of a patch that divides it: that of the image, or a little less where no patch divides it."""
    least = -(-pixels // PARTS)
    patch = next(size for size in range(least, pixels + 1) if pixels % size == 0)
    if pixels // patch >= min(FEWEST_PARTS, pixels):
        return pixels, patch
    return pixels // least * least, least
