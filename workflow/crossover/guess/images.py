"""Draft tasks from images, in files or in a table."""

import itertools
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from PIL import Image

from crossover.errors import UserError
from crossover.guess.draft import MAX_RECORDS, Draft, start_draft
from crossover.tasks.readers.images import UNREADABLE

MAX_PATCHES = 16  # per edge
MIN_PATCHES = 8  # per edge; if no patch size allows that, the image is resized


def guess_images(files: Iterable[Path | IO[bytes]], path: Path, name: str, reader: dict[str, Any]) -> Draft:
    """Draft a task of images, by their sizes and colours.

    Args:
        files: the images.
        path: their folder or table.
        name: the task's name.
        reader: the reader's other settings.

    Raises:
        UserError: no image can be opened.
    """
    sizes, modes = Counter[tuple[int, int]](), set[str]()
    for file in itertools.islice(files, MAX_RECORDS):
        try:
            with Image.open(file) as image:
                sizes[image.height, image.width] += 1
                modes.add(image.mode)
        except UNREADABLE:
            continue  # check-task reports it
    if not sizes:
        raise UserError(f"{path}: none of the images can be opened; correct the files.")
    size = rows, columns = sizes.most_common(1)[0][0]
    (rows, high), (columns, wide) = _edge_and_patch(rows), _edge_and_patch(columns)
    draft = start_draft(name, "images", path, reader)
    if all(mode in ("1", "L", "LA") or mode.startswith("I;16") for mode in modes):
        reader["colour"] = False
    if len(sizes) > 1 or (rows, columns) != size:
        reader["resize"] = [rows, columns]
    draft.settings["encoding"] = {"kind": "patches", "patch": [high, wide]}
    count = rows // high * (columns // wide)
    draft.remarks["encoding"] = (
        f"Most images have {size[0]} x {size[1]} pixels; {rows} x {columns} make {count} patches."
    )
    draft.settings["target"] = {"kind": "class", "metric": "accuracy"}
    return draft


def _edge_and_patch(pixels: int) -> tuple[int, int]:
    """Return the length of an edge and of a patch that divides it; the edge is shortened a little if necessary."""
    least = -(-pixels // MAX_PATCHES)
    patch = next(size for size in range(least, pixels + 1) if pixels % size == 0)
    if pixels // patch >= min(MIN_PATCHES, pixels):
        return pixels, patch
    return pixels // least * least, least
