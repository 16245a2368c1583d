"""Where attention heads look: how far, and at which part of a sequence."""

import numpy as np
import pandas as pd

from crossover.analyses.subject import Subject, sample

ITEMS = 100  # of the test split
BINS = 16  # queries and keys of a mean map


def analyse(subjects: list[Subject], seed: int) -> pd.DataFrame:
    """Mean attention distances and mean maps of the layers of one model.

    Returns:
        Rows of three measures, by layer (counted from 1):

        - `distance`: of each head (counted from 0), in positions;
        - `even distance`: that of attention spread evenly over all positions that the layer may look at;
        - `map`: the mean over heads and items of what the query in bin `query` gives to the keys in bin `key`.
    """
    [subject] = subjects
    tokens = subject.tokens("test")
    found = [summarise(maps) for maps in subject.attention(tokens, sample(len(tokens), ITEMS, seed))]
    return tabulate(*(np.mean(part, axis=0) for part in zip(*found, strict=True)))


def tabulate(distances: np.ndarray, even: np.ndarray, maps: np.ndarray) -> pd.DataFrame:
    """The table of `analyse`, from distances [layers, heads], even distances [layers] and maps [layers, bins, bins]."""
    tables = [
        _table("distance", distances, ["head"]),
        _table("even distance", even, []),
        _table("map", maps, ["query", "key"]),
    ]
    return pd.concat(tables, ignore_index=True).astype(dict.fromkeys(["head", "query", "key"], "Int64"))


def summarise(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is kept of the maps of one item [layers, heads, length, length].

    Returns:
        Distances [layers, heads], even distances [layers], and binned maps [layers, BINS, BINS].
    """
    return mean_distances(maps), mean_distances(even_maps(maps)), binned(maps.mean(axis=1), BINS)


def mean_distances(maps: np.ndarray) -> np.ndarray:
    """The mean distance between a query and what it attends to, in positions (Dosovitskiy et al. 2021, figure 7).

    Args:
        maps: [..., length, length], each row with the sum 1.

    Returns:
        float64 [...].
    """
    places = np.arange(maps.shape[-1])
    return (maps * np.abs(places[:, None] - places)).sum(axis=-1).mean(axis=-1)


def even_maps(maps: np.ndarray) -> np.ndarray:
    """The map of a head that spreads its attention evenly over the positions that its layer may look at.

    Args:
        maps: [layers, heads, length, length]; no head looks where its layer may not.

    Returns:
        float64 [layers, length, length].
    """
    allowed = (maps > 0).any(axis=1)
    return allowed / allowed.sum(axis=-1, keepdims=True)


def binned(maps: np.ndarray, bins: int) -> np.ndarray:
    """Maps of any length on a grid of one size, so that those of all items can be averaged.

    Args:
        maps: [layers, length, length], each row with the sum 1.
        bins: of the grid; position t of n covers the part from t / n to (t + 1) / n of a sequence.

    Returns:
        float64 [layers, bins, bins], each row with the sum 1: means of queries, and sums of keys.
    """
    length = maps.shape[-1]
    edges, places = np.arange(bins)[:, None] / bins, np.arange(length) / length
    overlap = np.minimum(edges + 1 / bins, places + 1 / length) - np.maximum(edges, places)
    overlap = np.clip(overlap, 0.0, None)  # [bins, length]
    return (bins * overlap) @ maps @ (length * overlap).T


def _table(measure: str, values: np.ndarray, axes: list[str]) -> pd.DataFrame:
    """Values [layers, ...] as rows with a number for each axis."""
    places = np.indices(values.shape).reshape(values.ndim, -1)
    numbered = dict(zip(["layer", *axes], places, strict=True)) | {"measure": measure, "value": values.ravel()}
    columns = ["measure", "layer", "head", "query", "key", "value"]
    return pd.DataFrame(numbered).reindex(columns=columns).assign(layer=lambda table: table["layer"] + 1)
