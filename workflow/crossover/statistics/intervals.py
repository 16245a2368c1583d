"""Intervals for mean scores and for their differences, when seeds and test items are both a sample.

A study asks about seeds and items that it did not draw. Scores [seeds, items] are crossed: every seed is scored on
every item. The variance of their mean is that of a two-way random-effects layout, whose mean squares give

    (MS_seeds + MS_items - MS_residual) / (seeds * items)

with Satterthwaite's degrees of freedom (the denominator of Clark's quasi-F: H. H. Clark 1973, J. Verbal Learning and
Verbal Behavior 12:335-359; as a sandwich: Cameron, Gelbach & Miller 2011, J. Business & Economic Statistics 29:238-249).
With few seeds the difference of mean squares can be too small by chance, so it is never taken below what either factor
gives alone. Simulations in the tests hold the coverage and the rate of false alarms to their nominal values.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

SMALLEST_VARIANCE = 1e-18  # below this it is rounding: all scores are equal


@dataclass(frozen=True)
class Mean:
    """An estimated mean.

    Attributes:
        value: the estimate.
        variance: the estimated variance of `value`.
        degrees_of_freedom: of `variance`.
        seeds: number of seeds behind it; with 1, `variance` is over items alone.
        groups: number of independent items behind it.
    """

    value: float
    variance: float
    degrees_of_freedom: float
    seeds: int
    groups: int

    @property
    def is_constant(self) -> bool:
        """Whether all scores are equal, so that they say nothing about their spread."""
        return self.variance < SMALLEST_VARIANCE

    def half_width(self, confidence: float) -> float:
        """Return half the width of Student's t interval."""
        return float(stats.t.ppf((1 + confidence) / 2, self.degrees_of_freedom) * np.sqrt(self.variance))


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: lower limit.
        high: upper limit.
        method: `t`, `Korn-Graubard` or `Agresti-Min`.
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


def crossed_mean(values: np.ndarray) -> Mean:
    """Estimate the mean over crossed seeds and groups, with both as random effects.

    Args:
        values: float [seeds, groups], at least two groups.

    Returns:
        The mean; of one seed alone, the variance is that over groups.
    """
    seeds, groups = values.shape
    mean = values.mean()
    by_seed, by_group = values.mean(axis=1), values.mean(axis=0)
    ms_group = seeds * by_group.var(ddof=1)
    if seeds == 1:
        return Mean(float(mean), ms_group / groups, groups - 1, seeds, groups)
    ms_seed = groups * by_seed.var(ddof=1)
    residual = values - by_seed[:, None] - by_group + mean
    ms_residual = (residual**2).sum() / ((seeds - 1) * (groups - 1))
    total = max(ms_seed + ms_group - ms_residual, ms_seed, ms_group)
    spread = (ms_seed**2 + ms_residual**2 / (groups - 1)) / (seeds - 1) + ms_group**2 / (groups - 1)
    degrees_of_freedom = total**2 / spread if spread > SMALLEST_VARIANCE**2 else groups - 1
    return Mean(float(mean), total / (seeds * groups), degrees_of_freedom, seeds, groups)


def score_interval(mean: Mean, confidence: float, lowest: float = 0.0) -> Interval:
    """Return the confidence interval of a mean score, within the limits of its metric.

    It is Student's t interval. Where that would reach a limit, or where all scores are equal (accuracy 1 on every item
    does not prove accuracy 1), a symmetric interval makes no sense; then it is Clopper and Pearson's for the number of
    independent items that would have the same variance (Korn & Graubard 1998, Survey Methodology 24:193-201), which is
    at most the number of groups. A metric that goes below 0 is moved to 0..1 for that.

    Args:
        mean: of the scores.
        confidence: such as 0.95.
        lowest: the lowest score there can be; the highest is 1.
    """
    half = mean.half_width(confidence)
    if not mean.is_constant and mean.value - half > lowest and mean.value + half < 1:
        return Interval(mean.value - half, mean.value + half, "t")
    span = 1 - lowest
    score = min(max((mean.value - lowest) / span, 0.0), 1.0)
    items = float(mean.groups)
    if not mean.is_constant:
        quantiles = stats.t.ppf((1 + confidence) / 2, [mean.groups - 1, mean.degrees_of_freedom])
        items = min(items, score * (1 - score) * span**2 / mean.variance * (quantiles[0] / quantiles[1]) ** 2)
    right = score * items
    tail = (1 - confidence) / 2
    low = stats.beta.ppf(tail, right, items - right + 1) if score > 0 else 0.0
    high = stats.beta.ppf(1 - tail, right + 1, items - right) if score < 1 else 1.0
    return Interval(lowest + span * float(low), lowest + span * float(high), "Korn-Graubard")


def difference_interval(mean: Mean, confidence: float, lowest: float = 0.0) -> tuple[Interval, float]:
    """Return the confidence interval of a mean paired difference, within the limits of its metric, and the p-value of none.

    Both come from Student's t, two-sided. Where the difference is the same on every item (two conditions that are right on all
    items), they come from Agresti and Min's interval for matched proportions (2005, Statistics in Medicine 24:729-740),
    which adds half a pair to each outcome.

    Args:
        mean: of differences between two scores.
        confidence: such as 0.95.
        lowest: the lowest score there can be; the highest is 1.
    """
    span = 1 - lowest
    if mean.is_constant:
        pairs = mean.groups + 2
        centre = mean.groups * mean.value / pairs
        error = np.sqrt(((mean.groups * mean.value**2 + span**2) / pairs - centre**2) / pairs)
        half = stats.norm.ppf((1 + confidence) / 2) * error
        method, p = "Agresti-Min", 2 * stats.norm.sf(abs(centre) / error)
    else:
        centre, half, method = mean.value, mean.half_width(confidence), "t"
        p = 2 * stats.t.sf(abs(mean.value) / np.sqrt(mean.variance), mean.degrees_of_freedom)
    return Interval(float(max(centre - half, -span)), float(min(centre + half, span)), method), float(p)
