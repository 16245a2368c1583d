"""scikit-learn's handwritten digits."""

import numpy as np
import pandas as pd

from crossover.config.readers import DigitsReader
from crossover.specs.descriptions import Receipt
from crossover.tasks.items import Items

SIDE = 8  # pixels
BRIGHTEST = 16


def read(reader: DigitsReader, receipt: Receipt) -> Items:
    """Read the 1,797 images of 8 x 8 pixels (Alpaydin & Kaynak 1998, test part), scaled to 0..1.

    Args:
        reader: it has no settings.
        receipt: of one file, `digits.csv.gz`: 64 pixels of 0..16 and the digit in each line.

    Returns:
        One item per image; `sequence` is float32 [64], row by row.
    """
    lines = np.loadtxt(receipt.root / receipt.paths[0], delimiter=",", dtype=np.int16)
    pixels = (lines[:, :-1] / BRIGHTEST).astype(np.float32)
    names = [f"digit-{number:04d}" for number in range(len(lines))]
    targets = lines[:, -1].astype(str)
    table = pd.DataFrame({"item": names, "group": names, "sequence": list(pixels), "target": targets})
    return Items(table, unit="pixels", shape=(SIDE, SIDE))
