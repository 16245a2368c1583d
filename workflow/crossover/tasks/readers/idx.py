"""Images in IDX files, the format of MNIST (LeCun, Cortes & Burges 1998) and similar data sets."""

import gzip
import re
import zlib
from math import prod
from pathlib import Path

import numpy as np
import pandas as pd

from crossover.config.media_readers import IdxReader
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt
from crossover.tasks.items import Items

FILE = re.compile(r"(train|t10k|test)-(images|labels)-?(?:idx\d-ubyte)?(?:\.gz)?$")
UNSIGNED_BYTE = 0x08  # type of the values, in the third byte of the magic number


def read(reader: IdxReader, receipt: Receipt) -> Items:
    """Read images and labels, in the splits of the data.

    Args:
        reader: it has no settings.
        receipt: of four files, such as train-images-idx3-ubyte.gz, train-labels-..., t10k-images-... and t10k-labels-...

    Returns:
        One item per image; `sequence` is uint8 [rows * columns], row by row; `target` is the label's number.

    Raises:
        UserError: a file is missing or incomplete, or has other than as many labels as images.
    """
    files = {
        ("train" if found[1] == "train" else "test", found[2]): receipt.root / file
        for file in receipt.paths
        if (found := FILE.search(file))
    }
    tables, shapes = [], set()
    for split in ("train", "test"):
        images, labels = (
            read_idx(_file(files, split, what, receipt), axes) for what, axes in (("images", 3), ("labels", 1))
        )
        if len(images) != len(labels):
            raise UserError(
                f"{files[split, 'images']} has {len(images)} images, but {files[split, 'labels']} has {len(labels)} labels; "
                "download both again."
            )
        shapes.add(images.shape[1:])
        names = [f"{split}-{number:05d}" for number in range(len(images))]
        columns = {"item": names, "group": names, "sequence": list(images.reshape(len(images), -1))}
        tables.append(pd.DataFrame({**columns, "target": labels.astype(str), "split": split}))
    if len(shapes) > 1:
        raise UserError(f"{receipt.root}: training and test images have different sizes; download the files again.")
    return Items(pd.concat(tables, ignore_index=True), unit="pixels", shape=shapes.pop())


def _file(files: dict[tuple[str, str], Path], split: str, what: str, receipt: Receipt) -> Path:
    if (split, what) not in files:
        raise UserError(f"{receipt.root} has no {split}-{what} file with a name like MNIST's; add it.")
    return files[split, what]


def read_idx(path: Path, axes: int) -> np.ndarray:
    """Return the array of an IDX file of bytes, compressed with gzip or not: uint8 with that many axes.

    Raises:
        UserError: the file is incomplete, damaged, or not in this format.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path} is not a complete gzip file ({error}); download it again.") from error
    if content[:4] != bytes([0, 0, UNSIGNED_BYTE, axes]):
        raise UserError(
            f"{path} begins with {content[:4].hex(' ') or 'nothing'}, not with 00 00 08 {axes:02x} as an IDX file of bytes "
            f"with {axes} axes; download it again."
        )
    header = 4 + 4 * axes
    shape = [int.from_bytes(content[4 * axis : 4 * axis + 4]) for axis in range(1, axes + 1)]
    if len(content) != header + prod(shape):
        raise UserError(
            f"{path} has {len(content)} bytes, but its header says {' x '.join(map(str, shape))} values; download it again."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
