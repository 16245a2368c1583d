"""Match the attention heads of two models by their attention maps, as the code of Kao & Lee (2021) does."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from crossover.analyses.analysed_model import AnalysedModel, sample_indices

ITEMS = 100  # sampled from the test split; as many as Kao & Lee used


def measure(models: list[AnalysedModel], seed: int) -> pd.DataFrame:
    """Match the heads in each layer of one model with those in the same layer of another.

    Layers that only one of the models has are left out.

    Returns:
        One row for each pair of heads: layer (counted from 1), head_a, head_b (counted from 0), distance of their maps,
        and chance, the mean distance over all pairs of heads in the layer: the expectation of a random matching.
    """
    tokens = models[0].tokens("test")
    items = sample_indices(len(tokens), ITEMS, seed)
    pairs = zip(*(model.attention_maps(tokens, items) for model in models), strict=True)
    distances = np.mean([[head_distances(*maps) for maps in zip(a, b, strict=False)] for a, b in pairs], axis=0)
    rows = []
    for layer, of_layer in enumerate(distances, start=1):
        rows += [(layer, a, b, of_layer[a, b], of_layer.mean()) for a, b in match_heads(of_layer)]
    return pd.DataFrame(rows, columns=["layer", "head_a", "head_b", "distance", "chance"])


def head_distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the L1 distances of attention maps, from 0 (equal) to 2 (disjoint).

    Args:
        a: maps of one layer, [heads, length, length].
        b: maps of a layer of the other model, [other heads, length, length].

    Returns:
        Means over queries, float64 [heads, other heads].
    """
    distances: NDArray[np.float64] = cdist(a.reshape(len(a), -1), b.reshape(len(b), -1), "cityblock") / a.shape[-1]
    return distances


def match_heads(distances: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Find the matching with the smallest total distance (the Hungarian method: Kuhn 1955).

    Args:
        distances: [heads, other heads].

    Returns:
        Pairs (head, other head), each head at most once, in ascending order of heads.
    """
    return [(int(a), int(b)) for a, b in zip(*linear_sum_assignment(distances), strict=True)]
