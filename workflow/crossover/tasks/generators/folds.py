"""Simulated proteins of the four structural classes."""

import numpy as np

from crossover.config.readers import FoldsSimReader
from crossover.specs.descriptions import Receipt
from crossover.tasks.items import Items, generated_table

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
HELIX, STRAND, TURN = 0, 1, 2

# Conformational parameters of the residues, in the order of RESIDUES, in alpha helix, beta sheet and beta turn:
# Chou & Fasman (1978), Advances in Enzymology 47:45-148 (29 proteins; AAindex CHOP780201 to CHOP780203). A
# parameter is the frequency of a residue in the structure divided by its frequency in all proteins.
PROPENSITIES = np.array(
    [
        [1.42, 0.70, 1.01, 1.51, 1.13, 0.57, 1.00, 1.08, 1.16, 1.21, 1.45, 0.67, 0.57, 1.11, 0.98, 0.77, 0.83, 1.06, 1.08, 0.69],
        [0.83, 1.19, 0.54, 0.37, 1.38, 0.75, 0.87, 1.60, 0.74, 1.30, 1.05, 0.89, 0.55, 1.10, 0.93, 0.75, 1.19, 1.70, 1.37, 1.47],
        [0.66, 1.19, 1.46, 0.74, 0.60, 1.56, 0.95, 0.47, 1.01, 0.59, 0.60, 1.56, 1.52, 0.98, 0.95, 1.43, 0.96, 0.50, 0.96, 1.14],
    ]
)  # fmt: skip
# Percentage of each residue in all proteins: McCaldon & Argos (1988), Proteins 4:99-122.
COMPOSITION = np.array(
    [8.3, 1.7, 5.3, 6.2, 3.9, 7.2, 2.2, 5.2, 5.7, 9.0, 2.4, 4.4, 5.1, 4.0, 5.7, 6.9, 5.8, 6.6, 1.3, 3.2]
)

# Minimum and maximum length of a segment of each structure, in residues: similar to real proteins, but chosen here.
SEGMENTS = {HELIX: (8, 13), STRAND: (4, 7), TURN: (2, 5)}
CLASSES = ("all-alpha", "all-beta", "alpha/beta", "alpha+beta")


def read(reader: FoldsSimReader, receipt: Receipt | None) -> Items:
    """Generate proteins of about 30 to 50 residues whose segments are arranged by class.

    The classes are those of Levitt & Chothia (1976): only helices, only strands, both in alternation
    (alpha/beta), both in separate regions (alpha+beta). The last two differ only in the order of their
    segments, so that counts of residues cannot distinguish them. Turns join the segments. Residues are drawn
    independently, with probabilities proportional to their share in all proteins times their propensity for the
    structure of the segment.

    Args:
        reader: its settings.
        receipt: None; there are no raw files.

    Returns:
        One item per protein; `sequence` is its letters, `target` the class.
    """
    rng = np.random.Generator(np.random.PCG64(reader.seed))
    count = reader.sizes.total
    classes = rng.choice(CLASSES, count)
    structures = [_draw_structure(name, rng) for name in classes]
    letters = _draw_residues(np.concatenate(structures), rng)
    ends = np.cumsum([len(structure) for structure in structures])
    proteins = [letters[end - len(structure) : end] for end, structure in zip(ends, structures, strict=True)]
    return Items(
        generated_table(reader.sizes, proteins, classes.tolist()),
        unit="residues",
        simulated=True,
        notes=[
            "simulated: independent residues, drawn from published propensities",
            "alpha/beta and alpha+beta differ only in the order of their segments",
        ],
    )


def _draw_structure(name: str, rng: np.random.Generator) -> np.ndarray:
    """Draw the structure of each residue of one protein, int64 [residues]."""
    first, second = rng.permutation([HELIX, STRAND])
    match name:
        case "all-alpha":
            order = [HELIX] * 3
        case "all-beta":
            order = [STRAND] * 5
        case "alpha/beta":
            order = [first, second, first, second]
        case _:
            order = [first, first, second, second]
    joined = [structure for segment in order for structure in (segment, TURN)][:-1]
    lengths = [rng.integers(*SEGMENTS[structure], endpoint=True) for structure in joined]
    return np.repeat(joined, lengths)


def _draw_residues(structures: np.ndarray, rng: np.random.Generator) -> str:
    """Draw one letter for each entry of `structures`."""
    weights = PROPENSITIES * COMPOSITION
    cumulative = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    codes = (rng.random(len(structures))[:, None] > cumulative[structures, :-1]).sum(axis=1)
    letters: np.ndarray = np.frombuffer(RESIDUES.encode(), dtype=np.uint8)[codes]
    return letters.tobytes().decode()
