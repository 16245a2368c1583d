"""Similarity of the layers of two models: linear CKA, SVCCA and PWCCA, each with a permutation control.

All three follow from the singular value decompositions of the states of the two layers and from the product of their left
singular vectors, so each layer is decomposed once.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crossover.analyses.analysed_model import AnalysedModel, sample_indices
from crossover.encodings.tokens import Tokens

ITEMS = 256  # sampled from the test split
POSITIONS = 2048  # sampled from those items; Kao & Lee (2021) used the first 1000
SVCCA_VARIANCE = 0.99  # share of the variance that SVCCA keeps (Raghu et al. 2017, section 2.1)
RANK_TOLERANCE = 1e-6  # relative to the largest singular value; smaller ones are rounding errors


def measure(models: list[AnalysedModel], seed: int) -> pd.DataFrame:
    """Compare each layer of one model with each layer of another one at the same positions.

    Returns:
        One row for each pair of layers and each measure: layer_a, layer_b (0 is the input of the first block), measure,
        value, and control, the same measure after a random permutation of the second model's positions.
    """
    first, second = ([decompose(layer) for layer in sample_states(model, seed)] for model in models)
    permutation = np.random.default_rng([seed, 1]).permutation(len(first[0].left))
    rows = []
    for layer_a, a in enumerate(first):
        for layer_b, b in enumerate(second):
            permuted = LayerSVD(b.left[permutation], b.values, b.right)
            for name, similarity in SIMILARITIES.items():
                rows.append((layer_a, layer_b, name, similarity(a, b), similarity(a, permuted)))
    return pd.DataFrame(rows, columns=["layer_a", "layer_b", "measure", "value", "control"])


def sample_states(model: AnalysedModel, seed: int) -> list[np.ndarray]:
    """Return the hidden states at sampled positions of the test split, for each layer float64 [positions, width]."""
    tokens = model.tokens("test")
    items = sample_indices(len(tokens), ITEMS, seed)
    sampled = sample_positions(tokens, items, seed)
    batches = []
    for part, layers, _ in model.hidden_states(tokens, items):
        mask = sampled[part, : layers[0].shape[1]]
        batches.append([layer.cpu().numpy()[mask] for layer in layers])
    return [np.concatenate(layer).astype(np.float64) for layer in zip(*batches, strict=True)]


def sample_positions(tokens: Tokens, items: np.ndarray, seed: int) -> np.ndarray:
    """Sample positions of items, padding excluded; return them as a mask, bool [items, longest]."""
    lengths = tokens.lengths[items]
    mask: np.ndarray = np.arange(lengths.max()) < lengths[:, None]
    sampled = np.zeros(mask.sum(), dtype=bool)
    sampled[sample_indices(len(sampled), POSITIONS, seed)] = True
    mask[mask] = sampled
    return mask


@dataclass(frozen=True)
class LayerSVD:
    """The singular value decomposition of a layer's centred states, `left @ diag(values) @ right`.

    Attributes:
        left: orthonormal columns, float64 [positions, rank].
        values: descending and positive, float64 [rank].
        right: orthonormal rows, float64 [rank, width].
    """

    left: np.ndarray
    values: np.ndarray
    right: np.ndarray


def decompose(states: np.ndarray) -> LayerSVD:
    """Centre states [positions, width] over positions, and decompose them; directions without variance are dropped."""
    left, values, right = np.linalg.svd(states - states.mean(axis=0), full_matrices=False)
    rank = int((values > RANK_TOLERANCE * values[0]).sum())
    return LayerSVD(left[:, :rank], values[:rank], right[:rank])


def linear_cka(a: LayerSVD, b: LayerSVD) -> float:
    """Return linear centred kernel alignment, 0 to 1 (Kornblith et al. 2019, section 3).

    It is ||B'A||^2 / (||A'A|| ||B'B||) in Frobenius norms, invariant to rotation and isotropic scaling.
    """
    product = a.values[:, None] * (a.left.T @ b.left) * b.values
    return _ratio(float((product**2).sum()), float(np.linalg.norm(a.values**2) * np.linalg.norm(b.values**2)))


def svcca(a: LayerSVD, b: LayerSVD) -> float:
    """Return the mean canonical correlation of the components with 99 % of each layer's variance (Raghu et al. 2017)."""
    kept_a, kept_b = (layer.left[:, : _components(layer.values)] for layer in (a, b))
    correlations = canonical_correlations(kept_a, kept_b)[1]
    return float(correlations.mean()) if len(correlations) else 0.0


def pwcca(a: LayerSVD, b: LayerSVD) -> float:
    """Return the projection-weighted mean canonical correlation (Morcos et al. 2018, eq. 2).

    The weight of a canonical variate h is the sum of |<h, z>| over the units z of the layer with the smaller rank; with
    equal ranks, of the first layer, as in the authors' code. It is invariant to invertible linear maps of the other layer.
    """
    if len(b.values) < len(a.values):
        a, b = b, a
    variates, correlations = canonical_correlations(a.left, b.left)
    weights = np.abs((variates.T * a.values) @ a.right).sum(axis=1)
    return _ratio(float((weights * correlations).sum()), float(weights.sum()))


def canonical_correlations(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the canonical variates and correlations of two orthonormal bases (Björck & Golub 1973).

    Args:
        a: [positions, p].
        b: [positions, q].

    Returns:
        The variates of a in its own basis [p, min(p, q)], and the correlations, descending, [min(p, q)].
    """
    variates, correlations, _ = np.linalg.svd(a.T @ b, full_matrices=False)
    return variates, np.clip(correlations, 0.0, 1.0)


def _components(values: np.ndarray) -> int:
    """Return how many components hold the share SVCCA_VARIANCE of the variance."""
    variance = np.cumsum(values**2)
    return int(np.searchsorted(variance, SVCCA_VARIANCE * variance[-1]) + 1) if len(values) else 0


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0  # layers without variance have nothing in common


SIMILARITIES = {"cka": linear_cka, "svcca": svcca, "pwcca": pwcca}
