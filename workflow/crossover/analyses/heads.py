"""Which attention heads of two models look at the same positions (Kao & Lee 2021, in their code)."""

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from crossover.analyses.subject import Subject, sample

ITEMS = 100  # of the test split, as many as Kao & Lee took


def analyse(subjects: list[Subject], seed: int) -> pd.DataFrame:
    """Match the heads of each layer of one model with those of the same layer of another, as far as both have layers.

    Returns:
        One row for each pair of heads: layer (counted from 1), head_a, head_b (counted from 0), distance of their maps,
        and chance, the mean distance of all pairs of heads of the layer, which a blind matching would have.
    """
    tokens = subjects[0].tokens("test")
    items = sample(len(tokens), ITEMS, seed)
    pairs = zip(*(subject.attention(tokens, items) for subject in subjects), strict=True)
    distances = np.mean([[head_distances(*maps) for maps in zip(a, b, strict=False)] for a, b in pairs], axis=0)
    rows = []
    for layer, found in enumerate(distances, start=1):
        rows += [(layer, a, b, found[a, b], found.mean()) for a, b in match_heads(found)]
    return pd.DataFrame(rows, columns=["layer", "head_a", "head_b", "distance", "chance"])


def head_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The L1 distance of attention maps, from 0 (equal) to 2 (never at the same position).

    Args:
        a: maps of one layer, [heads, length, length].
        b: the same of another model, [other heads, length, length].

    Returns:
        Means over queries, float64 [heads, other heads].
    """
    return cdist(a.reshape(len(a), -1), b.reshape(len(b), -1), "cityblock") / a.shape[-1]


def match_heads(distances: np.ndarray) -> list[tuple[int, int]]:
    """The pairs of heads with the smallest sum of distances (Hungarian method: Kuhn 1955).

    Args:
        distances: [heads, other heads].

    Returns:
        (head, other head), each at most once, in the order of heads.
    """
    return [(int(a), int(b)) for a, b in zip(*linear_sum_assignment(distances), strict=True)]
