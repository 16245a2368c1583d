"""Metrics: how right predictions are, over all items of a split and for each item.

A metric is a number from `Metric.lowest` to 1. The statistics of a study need a value for each item whose mean is the
metric. For accuracy that is 1 or 0. Other metrics are not means over items; for them it is the item's jackknife
pseudo-value (Efron & Stein 1981, Annals of Statistics 9:586-596), shifted so that the mean is the metric itself. For
accuracy, the two are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Score = Callable[[np.ndarray, np.ndarray, int | None], float]
LeaveOneOut = Callable[[np.ndarray, np.ndarray, int | None], np.ndarray]
MAX_PAIRS = 2**22  # of items that are compared at once


@dataclass(frozen=True)
class RawTargets:
    """The targets of a task before they are encoded, which its floor is computed from.

    Attributes:
        train: training targets [N]: class names or numbers; bits [N, bits].
        test: test targets [M] or [M, bits].
        voted: test targets of the groups [G], one each, where the items of a group vote; else None.
        positive: name of the positive class of F1.
    """

    train: np.ndarray
    test: np.ndarray
    voted: np.ndarray | None = None
    positive: str | None = None


FloorRule = Callable[[RawTargets], tuple[float, str]]


@dataclass(frozen=True)
class Metric:
    """One metric; it brings its floor with it, so that none can be added without.

    Attributes:
        name: in the config and in tables.
        label: in the report.
        lowest: its lowest value; the highest is 1.
        score: computes the metric from targets [N], predictions [N] and the positive class (of F1, else None).
        floor: returns the score of the best constant answer on the test split, and in words how it is computed.
        leave_one_out: computes from the same the metric without each item, float [N]; None for a mean over items.
    """

    name: str
    label: str
    lowest: float
    score: Score
    floor: FloorRule
    leave_one_out: LeaveOneOut | None = None


def item_scores(metric: str, targets: np.ndarray, predictions: np.ndarray, positive: int | None = None) -> np.ndarray:
    """Return a value for each item whose mean is the metric.

    Args:
        metric: a key of METRICS.
        targets: [N] class numbers or floats; [N, ...] for several bits of an item, with accuracy alone.
        predictions: like `targets`.
        positive: number of the positive class of F1.

    Returns:
        float64 [N]; of accuracy, the share of right answers of each item.
    """
    leave_one_out = METRICS[metric].leave_one_out
    if leave_one_out is None:
        shares: np.ndarray = (targets == predictions).reshape(len(targets), -1).mean(axis=1)
        return shares
    without = leave_one_out(targets, predictions, positive)
    values: np.ndarray = score(metric, targets, predictions, positive) + (len(targets) - 1) * (without.mean() - without)
    return values


def score(metric: str, targets: np.ndarray, predictions: np.ndarray, positive: int | None = None) -> float:
    """Return the metric over all items; see `item_scores` for the arguments."""
    return METRICS[metric].score(targets, predictions, positive)


# --- classes ------------------------------------------------------------------------------------------------


def _accuracy(targets: np.ndarray, predictions: np.ndarray, positive: int | None) -> float:
    return float((targets == predictions).mean())


def _mcc(
    targets: np.ndarray, predictions: np.ndarray, positive: int | None, weights: np.ndarray | None = None
) -> float:
    from sklearn.metrics import matthews_corrcoef  # takes longer to import than many a run takes to train

    return float(matthews_corrcoef(targets, predictions, sample_weight=weights))


def _f1(targets: np.ndarray, predictions: np.ndarray, positive: int | None, weights: np.ndarray | None = None) -> float:
    from sklearn.metrics import f1_score

    binary = targets == positive, predictions == positive
    return float(f1_score(*binary, sample_weight=weights, zero_division=0.0))


def _by_outcome(score_of: Callable[..., float]) -> LeaveOneOut:
    """Return the leave-one-out of a metric of the confusion matrix: without any item of one outcome, the matrix is the same."""

    def leave_one_out(targets: np.ndarray, predictions: np.ndarray, positive: int | None) -> np.ndarray:
        pairs = np.stack([targets, predictions], axis=1)
        outcomes, index, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
        without = np.empty(len(outcomes))
        for number in range(len(outcomes)):
            weights = counts.astype(float)
            weights[number] -= 1
            kept = weights > 0
            without[number] = score_of(outcomes[kept, 0], outcomes[kept, 1], positive, weights[kept])
        return without[index]

    return leave_one_out


# --- numbers ------------------------------------------------------------------------------------------------


def _spearman(targets: np.ndarray, predictions: np.ndarray, positive: int | None) -> float:
    from scipy.stats import spearmanr

    if np.ptp(targets) == 0 or np.ptp(predictions) == 0:
        return 0.0  # one prediction for all ranks nothing
    return float(spearmanr(targets, predictions).statistic)


def _spearman_leave_one_out(targets: np.ndarray, predictions: np.ndarray, positive: int | None) -> np.ndarray:
    """Return the correlation without each item: ranks above its own fall by one, and those tied with it by a half."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (targets, predictions)]
    found = np.empty(len(targets))
    rows = max(1, MAX_PAIRS // len(targets))
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


# --- floors -------------------------------------------------------------------------------------------------


def _most_frequent_answer(targets: RawTargets) -> tuple[float, str]:
    """Return the accuracy of always naming the most frequent training class, or bit."""
    if targets.train.ndim > 1:
        bit = int(targets.train.mean() > 0.5)
        rule = f"share of the test bits that are {bit}, the more frequent bit in training"
        return float((targets.test == bit).mean()), rule
    scored, items = (targets.test, "test items") if targets.voted is None else (targets.voted, "groups of test items")
    classes, counts = np.unique(targets.train, return_counts=True)
    common = str(classes[counts.argmax()])  # of equally frequent classes the first by name
    rule = f"share of the {items} of {common!r}, the most frequent training class"
    return float((scored == common).mean()), rule


def _always_positive(targets: RawTargets) -> tuple[float, str]:
    is_positive = targets.test == targets.positive
    rule = f"F1 when every test item is called {targets.positive!r}"
    return score("f1", is_positive, np.ones_like(is_positive), True), rule


def _no_correlation(targets: RawTargets) -> tuple[float, str]:
    return 0.0, "a correlation is 0 when all answers are the same"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", 0.0, _accuracy, _most_frequent_answer),
        Metric("mcc", "Matthews correlation", -1.0, _mcc, _no_correlation, _by_outcome(_mcc)),
        Metric("f1", "F1", 0.0, _f1, _always_positive, _by_outcome(_f1)),
        Metric("spearman", "Spearman correlation", -1.0, _spearman, _no_correlation, _spearman_leave_one_out),
    )
}
