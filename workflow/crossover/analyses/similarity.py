"""How alike the layers of two models are: linear CKA, SVCCA and PWCCA, each beside its value for shuffled positions.

All three follow from the singular value decompositions of the two layers' states and from the product of their left
singular vectors, so that each layer is decomposed once.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crossover.analyses.subject import Subject, sample
from crossover.encodings.tokens import Tokens

ITEMS = 256  # of the test split, that positions are drawn from
POSITIONS = 2048  # whose states are compared; Kao & Lee (2021) took the first 1000
KEPT = 0.99  # share of the variance that SVCCA keeps (Raghu et al. 2017, section 2.1)
NOTHING = 1e-6  # singular values below this share of the largest are rounding


def analyse(subjects: list[Subject], seed: int) -> pd.DataFrame:
    """Compare each layer of one model with each layer of another one that reads the same positions.

    Returns:
        One row for each pair of layers and each measure: layer_a, layer_b (0 is what enters the first block), measure,
        value, and control, the same measure when the positions of the second model are shuffled.
    """
    first, second = ([decompose(layer) for layer in states_of(subject, seed)] for subject in subjects)
    shuffled = np.random.default_rng([seed, 1]).permutation(len(first[0].left))
    rows = []
    for layer_a, a in enumerate(first):
        for layer_b, b in enumerate(second):
            control = Decomposed(b.left[shuffled], b.values, b.right)
            for measure, similarity in MEASURES.items():
                rows.append((layer_a, layer_b, measure, similarity(a, b), similarity(a, control)))
    return pd.DataFrame(rows, columns=["layer_a", "layer_b", "measure", "value", "control"])


def states_of(subject: Subject, seed: int) -> list[np.ndarray]:
    """The states of positions drawn from the test split, by layer, float64 [positions, width]."""
    tokens = subject.tokens("test")
    items = sample(len(tokens), ITEMS, seed)
    drawn = drawn_positions(tokens, items, seed)
    parts = []
    for part, layers, _ in subject.states(tokens, items):
        where = drawn[part, : layers[0].shape[1]]
        parts.append([layer.cpu().numpy()[where] for layer in layers])
    return [np.concatenate(layer).astype(np.float64) for layer in zip(*parts, strict=True)]


def drawn_positions(tokens: Tokens, items: np.ndarray, seed: int) -> np.ndarray:
    """Which of the real positions of items are drawn, bool [items, longest]."""
    lengths = tokens.lengths[items]
    real = np.arange(lengths.max()) < lengths[:, None]
    drawn = np.zeros(real.sum(), dtype=bool)
    drawn[sample(len(drawn), POSITIONS, seed)] = True
    real[real] = drawn
    return real


@dataclass(frozen=True)
class Decomposed:
    """The singular value decomposition of a layer's centred states, `left @ diag(values) @ right`.

    Attributes:
        left: orthonormal columns, float64 [positions, rank].
        values: descending and positive, float64 [rank].
        right: orthonormal rows, float64 [rank, width].
    """

    left: np.ndarray
    values: np.ndarray
    right: np.ndarray


def decompose(states: np.ndarray) -> Decomposed:
    """Decompose states [positions, width], centred over positions; directions without variance are left out."""
    left, values, right = np.linalg.svd(states - states.mean(axis=0), full_matrices=False)
    rank = int((values > NOTHING * values[0]).sum())
    return Decomposed(left[:, :rank], values[:rank], right[:rank])


def linear_cka(a: Decomposed, b: Decomposed) -> float:
    """Linear centred kernel alignment, 0 to 1 (Kornblith et al. 2019, section 3).

    It is ||B'A||^2 / (||A'A|| ||B'B||) in Frobenius norms, and does not change under rotations and isotropic scaling.
    """
    product = a.values[:, None] * (a.left.T @ b.left) * b.values
    return _share(float((product**2).sum()), float(np.linalg.norm(a.values**2) * np.linalg.norm(b.values**2)))


def svcca(a: Decomposed, b: Decomposed) -> float:
    """The mean canonical correlation of the directions that hold 99 % of each layer's variance (Raghu et al. 2017)."""
    kept_a, kept_b = (one.left[:, : _directions(one.values)] for one in (a, b))
    correlations = canonical_correlations(kept_a, kept_b)[1]
    return float(correlations.mean()) if len(correlations) else 0.0


def pwcca(a: Decomposed, b: Decomposed) -> float:
    """The mean canonical correlation, each weighted by how much of the layer it stands for (Morcos et al. 2018, eq. 2).

    The weight of a canonical variate h is the sum of |<h, z>| over the units z of the narrower layer, of equal ones the
    first, as in the authors' code. It does not change under invertible linear maps of the other layer.
    """
    if len(b.values) < len(a.values):
        a, b = b, a
    variates, correlations = canonical_correlations(a.left, b.left)
    weights = np.abs((variates.T * a.values) @ a.right).sum(axis=1)
    return _share(float((weights * correlations).sum()), float(weights.sum()))


def canonical_correlations(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Canonical correlation analysis of two orthonormal bases (Björck & Golub 1973).

    Args:
        a: [positions, p].
        b: [positions, q].

    Returns:
        The canonical variates of a in its own basis [p, min(p, q)], and the correlations, descending, [min(p, q)].
    """
    variates, correlations, _ = np.linalg.svd(a.T @ b, full_matrices=False)
    return variates, np.clip(correlations, 0.0, 1.0)


def _directions(values: np.ndarray) -> int:
    """How many directions hold the share KEPT of the variance."""
    held = np.cumsum(values**2)
    return int(np.searchsorted(held, KEPT * held[-1]) + 1) if len(values) else 0


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0  # layers that do not vary have nothing in common


MEASURES = {"cka": linear_cka, "svcca": svcca, "pwcca": pwcca}
