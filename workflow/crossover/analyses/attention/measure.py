"""How far attention heads look, and where in a sequence: mean attention distances and mean attention maps."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crossover.analyses.analysed_model import AnalysedModel, sample_indices

ITEMS = 100  # sampled from the test split
BINS = 16  # of queries and of keys in a mean map


def measure(models: list[AnalysedModel], seed: int) -> pd.DataFrame:
    """Average the attention distances and the attention maps of one model over test items.

    Returns:
        Rows of three measures, by layer (counted from 1):

        - `distance`: of each head (counted from 0), in positions;
        - `even distance`: that of uniform attention over all positions that the layer may attend to;
        - `map`: the attention from the queries in bin `query` to the keys in bin `key`, averaged over heads and items.
    """
    [model] = models
    tokens = model.tokens("test")
    items = sample_indices(len(tokens), ITEMS, seed)
    summaries = [summarise(maps) for maps in model.attention_maps(tokens, items)]
    return tabulate(*(np.mean(part, axis=0) for part in zip(*summaries, strict=True)))


def tabulate(distances: NDArray[np.float64], uniform: NDArray[np.float64], maps: NDArray[np.float64]) -> pd.DataFrame:
    """Make the table of `measure`.

    Args:
        distances: [layers, heads].
        uniform: distances of uniform attention, [layers].
        maps: [layers, bins, bins].
    """
    tables = [
        _table("distance", distances, ["head"]),
        _table("even distance", uniform, []),
        _table("map", maps, ["query", "key"]),
    ]
    return pd.concat(tables, ignore_index=True).astype(dict.fromkeys(["head", "query", "key"], "Int64"))


def summarise(maps: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Summarise the attention maps of one item, [layers, heads, length, length].

    Returns:
        Distances [layers, heads], distances of uniform attention [layers], and binned maps [layers, BINS, BINS].
    """
    return mean_distances(maps), mean_distances(uniform_attention(maps)), bin_maps(maps.mean(axis=1), BINS)


def mean_distances(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean attention distance in positions: between queries and their keys, weighted by attention.

    Dosovitskiy et al. (2021) show it in figure 7.

    Args:
        maps: [..., length, length]; each row sums to 1.

    Returns:
        float64 [...].
    """
    places = np.arange(maps.shape[-1])
    distances: NDArray[np.float64] = (maps * np.abs(places[:, None] - places)).sum(axis=-1).mean(axis=-1)
    return distances


def uniform_attention(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the map of a head with equal attention to all positions that its layer may attend to.

    Args:
        maps: [layers, heads, length, length]; 0 wherever the layer may not attend.

    Returns:
        float64 [layers, length, length].
    """
    allowed = (maps > 0).any(axis=1)
    uniform: NDArray[np.float64] = allowed / allowed.sum(axis=-1, keepdims=True)
    return uniform


def bin_maps(maps: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Resample maps of any length to one grid, so that they can be averaged over items.

    Args:
        maps: [layers, length, length]; each row sums to 1.
        bins: of the grid; position t of n covers the part from t / n to (t + 1) / n of a sequence.

    Returns:
        float64 [layers, bins, bins]: means over queries and sums over keys, so that each row sums to 1.
    """
    length = maps.shape[-1]
    edges, places = np.arange(bins)[:, None] / bins, np.arange(length) / length
    overlap = np.minimum(edges + 1 / bins, places + 1 / length) - np.maximum(edges, places)
    overlap = np.clip(overlap, 0.0, None)  # [bins, length]
    resampled: NDArray[np.float64] = (bins * overlap) @ maps @ (length * overlap).T
    return resampled


def _table(measure: str, values: NDArray[np.float64], axes: list[str]) -> pd.DataFrame:
    """Return values [layers, ...] as rows with an index for each axis."""
    indices = np.indices(values.shape).reshape(values.ndim, -1)
    rows = dict(zip(["layer", *axes], indices, strict=True)) | {"measure": measure, "value": values.ravel()}
    columns = ["measure", "layer", "head", "query", "key", "value"]
    return pd.DataFrame(rows).reindex(columns=columns).assign(layer=lambda table: table["layer"] + 1)
