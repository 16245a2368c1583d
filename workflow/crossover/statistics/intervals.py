"""Intervals for mean scores and for their differences, and the p-value of no difference.

All of them average over the standard errors that an estimate allows (`crossover.statistics.crossed`). With one of them known
for certain they would be those of the normal distribution; with one variance alone they are Student's.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from crossover.statistics.crossed import Estimate, node_weights

POWER = 0.8  # the share of studies that shall show a difference of the size that is called detectable
MOST_SEEDS = 1000  # more are not planned


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: lower limit.
        high: upper limit.
        method: `integrated` or `Korn-Graubard`.
    """

    low: float
    high: float
    method: str


def group_means(scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return one value per group, such that their mean over groups is the mean score over items.

    Segments of one piece are not independent; their groups are. Groups differ in size, which makes the mean over items
    a ratio of two sums. Each group's value is its linearised share of that ratio (Taylor linearisation: Cochran 1977,
    Sampling Techniques, section 9.7). Where all groups have one size, the values are the groups' plain means.

    Args:
        scores: float [seeds, items].
        groups: the group of each item [items].

    Returns:
        float [seeds, groups], in the order of sorted group names.
    """
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    by_group = np.zeros((len(sizes), len(scores)))
    np.add.at(by_group, index, scores.T)
    mean = scores.mean()
    values: np.ndarray = mean + (by_group.T - sizes * mean) * len(sizes) / scores.shape[1]
    return values


def half_width(estimate: Estimate, confidence: float) -> float:
    """Return half the width of the symmetric interval of an estimate."""
    errors = estimate.standard_errors

    def excess(half: float) -> float:
        return 2 * _tail(half, errors) - (1 - confidence)

    quantile = special.ndtri((1 + confidence) / 2)
    return float(optimize.brentq(excess, quantile * errors.min(), quantile * errors.max(), xtol=1e-10))


def score_interval(estimate: Estimate, confidence: float, lowest: float = 0.0) -> Interval:
    """Return the confidence interval of a mean score, within the limits of its metric.

    Where a symmetric interval would reach a limit, or where all scores are equal (accuracy 1 on every item does not prove
    accuracy 1), it makes no sense, and near a limit it is too short on the other side. There the interval is Clopper and
    Pearson's for the number of independent items that would have the same width (Korn & Graubard 1998, Survey Methodology
    24:193-201), which is at most the number of groups.
    A metric that goes below 0 is moved to 0..1 for that.

    Args:
        estimate: of the mean score.
        confidence: such as 0.95.
        lowest: the lowest score there can be; the highest is 1.
    """
    value, items = estimate.value, float(estimate.groups)
    span, tail = 1 - lowest, (1 - confidence) / 2
    score = min(max((value - lowest) / span, 0.0), 1.0)
    if not estimate.is_constant:
        half = half_width(estimate, confidence)
        if value - 2 * half > lowest and value + 2 * half < 1:
            return Interval(value - half, value + half, "integrated")
        quantile = stats.t.isf(tail, estimate.groups - 1)
        items = min(items, score * (1 - score) * (span * quantile / half) ** 2)
    right = score * items
    low = stats.beta.ppf(tail, right, items - right + 1) if score > 0 else 0.0
    high = stats.beta.isf(tail, right + 1, items - right) if score < 1 else 1.0
    return Interval(lowest + span * float(low), lowest + span * float(high), "Korn-Graubard")


def difference_interval(estimate: Estimate, confidence: float, span: float = 1.0) -> Interval:
    """Return the confidence interval of a difference.

    Args:
        estimate: of the difference between two scores.
        confidence: such as 0.95.
        span: the largest difference that two scores can have.
    """
    half = half_width(estimate, confidence)
    return Interval(max(estimate.value - half, -span), min(estimate.value + half, span), "integrated")


def p_value(estimate: Estimate) -> float:
    """Return the two-sided p-value of no difference."""
    return 2 * _tail(abs(estimate.value), estimate.standard_errors)


def _tail(distance: float, errors: np.ndarray) -> float:
    """Return the probability that an estimate is off by more than a distance on one side, averaged over its standard errors."""
    return float(node_weights() @ special.ndtr(-distance / errors))


def detectable_difference(estimate: Estimate, confidence: float) -> float:
    """Return the smallest true difference that a comparison as sure as this one shows in four of five cases (`POWER`).

    Args:
        estimate: of the difference.
        confidence: at which a difference is shown, corrected for the number of comparisons.
    """
    return half_width(estimate, confidence) + float(special.ndtri(POWER) * np.sqrt(estimate.variance))


def seeds_to_detect(estimate: Estimate, confidence: float, difference: float) -> int | None:
    """Return the number of seeds in each cell with which a difference is detectable.

    Args:
        estimate: of the difference of two cells, each with several seeds.
        confidence: at which a difference is shown, corrected for the number of comparisons.
        difference: the one to detect.

    Returns:
        None if not even `MOST_SEEDS` are enough, since the test items are too few.
    """

    def suffices(seeds: int) -> bool:
        return detectable_difference(estimate.with_seeds(seeds), confidence) <= difference

    numbers = range(2, MOST_SEEDS + 1)
    place = bisect_left(numbers, True, key=suffices)
    return numbers[place] if place < len(numbers) else None
