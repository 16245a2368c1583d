"""Metrics: how right predictions are, over all items of a split and for each item.

A metric is a number from `Metric.low` to 1. The statistics of a study need a value for each item whose mean is the
metric. For accuracy that is 1 or 0. Other metrics are no means of items; for them it is the item's jackknife
pseudo-value (Efron & Stein 1981, Annals of Statistics 9:586-596), shifted so that the mean is the metric itself. For
accuracy, the two are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Score = Callable[[np.ndarray, np.ndarray, Any], float]
WithoutEach = Callable[[np.ndarray, np.ndarray, Any], np.ndarray]
CHUNK = 2**22  # pairs of items looked at together


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        label: as it is named in the report.
        low: its lowest value; the highest is 1.
        score: targets [N], predictions [N] and the positive class (of F1, else None) to the metric.
        without_each: the same to the metric without item i, float [N]; None of a mean of items.
    """

    label: str
    low: float
    score: Score
    without_each: WithoutEach | None = None


def item_scores(metric: str, targets: np.ndarray, predictions: np.ndarray, positive: Any = None) -> np.ndarray:
    """A value for each item whose mean is the metric.

    Args:
        metric: a key of METRICS.
        targets: [N] class numbers or floats; [N, ...] for several bits of an item, with accuracy alone.
        predictions: like `targets`.
        positive: the class number that F1 looks for.

    Returns:
        float64 [N]; of accuracy, the share of right answers of each item.
    """
    without_each = METRICS[metric].without_each
    if without_each is None:
        return (targets == predictions).reshape(len(targets), -1).mean(axis=1)
    without = without_each(targets, predictions, positive)
    return score(metric, targets, predictions, positive) + (len(targets) - 1) * (without.mean() - without)


def score(metric: str, targets: np.ndarray, predictions: np.ndarray, positive: Any = None) -> float:
    """The metric of all items; see `item_scores` for the arguments."""
    return METRICS[metric].score(targets, predictions, positive)


# --- classes ------------------------------------------------------------------------------------------------


def _accuracy(targets: np.ndarray, predictions: np.ndarray, positive: Any) -> float:
    return float((targets == predictions).mean())


def _mcc(targets: np.ndarray, predictions: np.ndarray, positive: Any, weights: np.ndarray | None = None) -> float:
    from sklearn.metrics import matthews_corrcoef  # takes longer to import than many a run takes to train

    return float(matthews_corrcoef(targets, predictions, sample_weight=weights))


def _f1(targets: np.ndarray, predictions: np.ndarray, positive: Any, weights: np.ndarray | None = None) -> float:
    from sklearn.metrics import f1_score

    binary = targets == positive, predictions == positive
    return float(f1_score(*binary, sample_weight=weights, zero_division=0.0))


def _by_outcome(score_of: Callable[..., float]) -> WithoutEach:
    """Leave-one-out for a metric of the confusion matrix: items with one outcome leave the same matrix behind."""

    def without_each(targets: np.ndarray, predictions: np.ndarray, positive: Any) -> np.ndarray:
        pairs = np.stack([targets, predictions], axis=1)
        outcomes, index, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
        without = np.empty(len(outcomes))
        for number in range(len(outcomes)):
            weights = counts.astype(float)
            weights[number] -= 1
            kept = weights > 0
            without[number] = score_of(outcomes[kept, 0], outcomes[kept, 1], positive, weights[kept])
        return without[index]

    return without_each


# --- numbers ------------------------------------------------------------------------------------------------


def _spearman(targets: np.ndarray, predictions: np.ndarray, positive: Any) -> float:
    from scipy.stats import spearmanr

    if np.ptp(targets) == 0 or np.ptp(predictions) == 0:
        return 0.0  # one prediction for all ranks nothing
    return float(spearmanr(targets, predictions).statistic)


def _spearman_without_each(targets: np.ndarray, predictions: np.ndarray, positive: Any) -> np.ndarray:
    """Without an item, the ranks above its own fall by one, and those tied with it by a half."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (targets, predictions)]
    found = np.empty(len(targets))
    rows = max(1, CHUNK // len(targets))
    for start in range(0, len(targets), rows):
        left_out = np.arange(start, min(start + rows, len(targets)))
        deviations = []
        for rank in ranks:
            own = rank[left_out, None]
            fallen = rank - (rank > own) - 0.5 * (rank == own)
            fallen -= len(targets) / 2  # the mean of the ranks that are left
            fallen[np.arange(len(left_out)), left_out] = 0.0
            deviations.append(fallen)
        x, y = deviations
        spread = np.sqrt(np.einsum("ij,ij->i", x, x) * np.einsum("ij,ij->i", y, y))
        product = np.einsum("ij,ij->i", x, y)
        found[left_out] = np.divide(product, spread, out=np.zeros(len(left_out)), where=spread > 0)
    return found


METRICS = {
    "accuracy": Metric("accuracy", 0.0, _accuracy),
    "mcc": Metric("Matthews correlation", -1.0, _mcc, _by_outcome(_mcc)),
    "f1": Metric("F1", 0.0, _f1, _by_outcome(_f1)),
    "spearman": Metric("Spearman correlation", -1.0, _spearman, _spearman_without_each),
}
