"""Simulated DNA around splice sites."""

import numpy as np

from crossover.config.readers import SpliceSimReader
from crossover.specs.descriptions import Receipt
from crossover.tasks.items import Items, generated_table

LETTERS = "ACGT"

# Percentages of A, C, G, T at the positions around primate splice sites: Senapathy, Shapiro & Harris (1990),
# Methods in Enzymology 183:252-278, as given in exonerate's splice.c. They are printed as integers, so that
# some rows add up to 99 or 101.
DONOR = np.array(  # positions -3 to -1 of the exon, +1 to +6 of the intron
    [
        [28, 40, 17, 14],
        [59, 14, 13, 14],
        [8, 5, 81, 6],
        [0, 0, 100, 0],
        [0, 0, 0, 100],
        [54, 2, 42, 2],
        [74, 8, 11, 8],
        [5, 6, 85, 4],
        [16, 18, 21, 45],
    ]
)
ACCEPTOR = np.array(  # positions -14 to -1 of the intron, +1 of the exon
    [
        [10, 31, 14, 44],
        [8, 36, 14, 43],
        [6, 34, 12, 48],
        [6, 34, 8, 52],
        [9, 37, 9, 45],
        [9, 38, 10, 44],
        [8, 44, 9, 40],
        [9, 41, 8, 41],
        [6, 44, 6, 45],
        [6, 40, 6, 48],
        [23, 28, 26, 23],
        [2, 79, 1, 18],
        [100, 0, 0, 0],
        [0, 0, 100, 0],
        [28, 14, 47, 11],
    ]
)
# Composition (percentages of A, C, G, T) of the windows without a splice site, and number of windows of each class,
# in the primate splice-junction set: Noordewier, Towell & Shavlik (1991), UCI repository, file splice.names.
BACKGROUND = np.array([24.984, 25.077, 25.653, 24.273])
CLASSES = {"EI": 767, "IE": 768, "N": 1655}


def read(reader: SpliceSimReader, receipt: Receipt | None) -> Items:
    """Generate windows with a donor site (EI), an acceptor site (IE), or neither (N).

    The layout, the classes and their shares are those of the UCI primate splice-junction set. Positions are drawn
    independently: at a site from its published table, elsewhere from the background. Real sites have dependencies
    between positions, branch points and codons, which these lack. Half of the windows of N have a GT where a donor
    has it, the others an AG where an acceptor has it, with background around it, so that the two invariant letters
    alone are not informative.

    Args:
        reader: its settings; the `flank` of the UCI set is 30.
        receipt: None; there are no raw files.

    Returns:
        One item per window; `sequence` is 2 x `flank` letters, `target` the class.
    """
    rng = np.random.Generator(np.random.PCG64(reader.seed))
    count = reader.sizes.total
    classes = rng.choice(list(CLASSES), count, p=_shares(np.array(list(CLASSES.values()))))
    boundary = reader.flank
    codes = _draw(rng, BACKGROUND, (count, 2 * boundary))
    donors, acceptors, neither = (np.flatnonzero(classes == name) for name in CLASSES)
    _place(codes, donors, boundary - 3, DONOR, rng)
    _place(codes, acceptors, boundary - 14, ACCEPTOR, rng)
    decoys = rng.random(len(neither)) < 0.5
    _place(codes, neither[decoys], boundary, DONOR[3:5], rng)
    _place(codes, neither[~decoys], boundary - 2, ACCEPTOR[12:14], rng)
    windows = np.array(list(LETTERS))[codes]
    return Items(
        generated_table(reader.sizes, ["".join(window) for window in windows], classes.tolist()),
        unit="nucleotides",
        simulated=True,
        notes=["simulated: independent positions, drawn from published tables of primate splice sites"],
    )


def _place(codes: np.ndarray, rows: np.ndarray, start: int, table: np.ndarray, rng: np.random.Generator) -> None:
    """Overwrite the positions from `start` on in these rows of `codes` with draws from `table`."""
    for offset, weights in enumerate(table):
        codes[rows, start + offset] = _draw(rng, weights, len(rows))


def _draw(rng: np.random.Generator, weights: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    return rng.choice(len(LETTERS), size, p=_shares(weights))


def _shares(weights: np.ndarray) -> np.ndarray:
    shares: np.ndarray = weights / weights.sum()
    return shares
