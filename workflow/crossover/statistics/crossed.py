"""Means of scores when seeds and test items are both a sample: how sure they are.

A study asks about seeds and items that it did not draw. Every seed of a cell is scored on every item, so that seeds and
items are crossed random effects. The variance of a cell's mean is

    seed variance / seeds + item variance / items - residual / (seeds * items)

where the first two are the variances of the means by seed and by item, which both contain the residual. The difference of
two cells that are scored on the same items has the variance of the items' own differences in the second place, and the
seeds of both in the first. Seeds are not paired by their number: two runs with one seed have next to nothing in common
(their scores correlate by -0.15 over the comparisons of our studies), while pairing would halve the degrees of freedom.

With three seeds the variance of a cell's seeds is hardly known. Two things keep it from deciding what is claimed. First, an
estimate is a distribution of standard errors, and not one of them: each variance is divided by a chi-squared variable over
its degrees of freedom, which is the generalised pivot of Weerahandi (1993, J. American Statistical Association 88:899-905),
as in the problem of Behrens and Fisher. Second, the seed variances of a study's cells are squeezed towards their mean, with
a prior that is as strong as they are alike (Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3:3), but
never stronger than `LARGEST_PRIOR`, so that a study of calm and wild cells is not taken for one of equal ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import optimize, special, stats
from scipy.stats import qmc

LARGEST_PRIOR = 4.0  # degrees of freedom
NODES = 9  # 2**9 standard errors of an estimate
ROUNDING = 1e-18  # a smaller variance is rounding
SMALLEST = 1e-5  # of the median: a smaller seed variance counts as this, since the logarithm of 0 would be infinite


@dataclass(frozen=True)
class Crossed:
    """The scores of a cell, every seed on every group of items.

    Attributes:
        by_group: mean over seeds of each group, float [groups].
        seeds: number of seeds.
        seed_variance: of the seeds' mean scores; NaN with one seed.
        residual: mean square of seeds x groups; 0 with one seed.
    """

    by_group: np.ndarray
    seeds: int
    seed_variance: float
    residual: float

    @property
    def value(self) -> float:
        """The mean score."""
        return float(self.by_group.mean())

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.by_group)


@dataclass(frozen=True)
class SeedVariance:
    """How the mean scores of a cell's seeds vary.

    Attributes:
        variance: between them.
        residual: the part of it that is chance in single answers, and is in the variance over items too.
        seeds: number of seeds.
        degrees_of_freedom: of `variance`.
    """

    variance: float
    residual: float
    seeds: int
    degrees_of_freedom: float

    def with_seeds(self, seeds: int) -> "SeedVariance":
        """Return the same as it would be known from another number of seeds."""
        return replace(self, seeds=seeds, degrees_of_freedom=self.degrees_of_freedom + seeds - self.seeds)


@dataclass(frozen=True)
class Estimate:
    """An estimated mean or difference.

    Attributes:
        value: the estimate.
        item_variance: of the estimate, from items alone.
        groups: number of independent items.
        seed_variances: of the one cell or of both; none of those with one seed, nor where all scores are equal.
        is_constant: whether all scores are equal, so that they say nothing of their spread.
    """

    value: float
    item_variance: float
    groups: int
    seed_variances: tuple[SeedVariance, ...]
    is_constant: bool

    @property
    def variance(self) -> float:
        """The variance of the estimate, each part at its own estimate."""
        seeds = sum(part.variance / part.seeds for part in self.seed_variances)
        return max(seeds + self.item_variance - self._overlap, seeds, self.item_variance)

    @property
    def standard_errors(self) -> np.ndarray:
        """The standard errors that the data allow, float [nodes], to be weighted by `node_weights`."""
        seeds = np.zeros(2**NODES)
        for axis, part in enumerate(self.seed_variances, start=1):
            seeds = seeds + part.variance / part.seeds / _ratios(part.degrees_of_freedom, axis)
        items = self.item_variance / _ratios(self.groups - 1, 0)
        # With few seeds the difference can be too small by chance: never below what either factor gives alone.
        errors: np.ndarray = np.sqrt(np.maximum(seeds + items - self._overlap, np.maximum(seeds, items)))
        return errors

    @property
    def _overlap(self) -> float:
        return sum(part.residual / part.seeds for part in self.seed_variances)

    def with_seeds(self, seeds: int) -> "Estimate":
        """Return the estimate as another number of seeds in each cell would give it, if they vary as these do."""
        of_items = max(self.item_variance - self._overlap, 0.0)
        parts = tuple(part.with_seeds(seeds) for part in self.seed_variances)
        planned = replace(self, seed_variances=parts)
        return replace(planned, item_variance=of_items + planned._overlap)


@lru_cache(maxsize=1)
def _nodes() -> np.ndarray:
    """Return evenly spread points of the unit cube [3, nodes], denser near 0: small p-values come from there."""
    points = qmc.Sobol(3, scramble=False).random_base2(NODES).T + 0.5 / 2**NODES
    nodes: np.ndarray = points**2
    return nodes


@lru_cache(maxsize=1)
def node_weights() -> np.ndarray:
    """Return the weight of each node, float [nodes]; they sum to 1."""
    density = 2 * np.sqrt(_nodes()).prod(axis=0)
    weights: np.ndarray = density / density.sum()
    return weights


@lru_cache(maxsize=4096)
def _ratios(degrees_of_freedom: float, axis: int) -> np.ndarray:
    """Return chi-squared variables over their degrees of freedom at the nodes, float [nodes]."""
    ratios: np.ndarray = stats.chi2.ppf(_nodes()[axis], degrees_of_freedom) / degrees_of_freedom
    return ratios


@dataclass(frozen=True)
class SeedPrior:
    """What the cells of a study say of the seed variance of each.

    Attributes:
        variance: their mean.
        degrees_of_freedom: how much it counts.
    """

    variance: float
    degrees_of_freedom: float

    def squeeze(self, cell: Crossed) -> SeedVariance:
        """Return the seed variance of a cell with several seeds, squeezed towards the mean of the study."""
        own, prior = cell.seeds - 1, self.degrees_of_freedom
        variance = (prior * self.variance + own * cell.seed_variance) / (prior + own)
        return SeedVariance(variance, cell.residual / cell.groups, cell.seeds, prior + own)


def seed_prior(cells: Sequence[Crossed]) -> SeedPrior:
    """Return what the seed variances of cells have in common.

    Its degrees of freedom are those with which the spread of the variances' logarithms is as large as it is (Smyth 2004,
    section 6.2), at most `LARGEST_PRIOR` and at most those of the other cells. The variances are squeezed towards their
    mean and not towards that of their logarithms, which a few calm cells would pull down.

    Args:
        cells: of one metric; those with one seed tell nothing.
    """
    several = [cell for cell in cells if cell.seeds > 1]
    variances = np.array([cell.seed_variance for cell in several])
    if len(several) < 2 or not variances.any():
        return SeedPrior(0.0, 0.0)
    own = np.array([cell.seeds - 1.0 for cell in several])
    limited = np.maximum(variances, max(SMALLEST * np.median(variances), 1e-12))
    logarithms = np.log(limited) - special.digamma(own / 2) + np.log(own / 2)
    spare = logarithms.var(ddof=1) - special.polygamma(1, own / 2).mean()
    return SeedPrior(float(variances.mean()), float(min(_prior_strength(spare), own.sum() - own.max())))


def _prior_strength(spare: float) -> float:
    """Return the degrees of freedom of a prior under which logarithms of variances vary as much, at most `LARGEST_PRIOR`."""

    def excess(degrees_of_freedom: float) -> float:
        return float(special.polygamma(1, degrees_of_freedom / 2)) - spare

    return LARGEST_PRIOR if excess(LARGEST_PRIOR) >= 0 else float(optimize.brentq(excess, 1e-6, LARGEST_PRIOR))


def crossed(values: np.ndarray) -> Crossed:
    """Reduce scores to what their mean and differences need.

    Args:
        values: float [seeds, groups], at least two groups.
    """
    seeds, groups = values.shape
    by_group, by_seed = values.mean(axis=0), values.mean(axis=1)
    if seeds == 1:
        return Crossed(by_group, 1, float("nan"), 0.0)
    rest = values - by_seed[:, None] - by_group + values.mean()
    residual = float((rest**2).sum()) / ((seeds - 1) * (groups - 1))
    return Crossed(by_group, seeds, float(by_seed.var(ddof=1)), residual)


def mean_of(cell: Crossed, prior: SeedPrior) -> Estimate:
    """Return the mean score of a cell."""
    return _estimate(cell.by_group, (cell,), prior)


def difference_of(a: Crossed, b: Crossed, prior: SeedPrior, span: float) -> Estimate:
    """Return the difference a - b of two cells' mean scores on the same groups of items.

    Where it is the same on every item, such as 0 of two cells that are right on all items, its variance is that of Agresti and
    Min's interval for matched proportions (2005, Statistics in Medicine 24:729-740), which adds half a pair to each outcome.

    Args:
        a: the first cell.
        b: the second one.
        prior: of the study.
        span: the largest difference that two scores can have.
    """
    estimate = _estimate(a.by_group - b.by_group, (a, b), prior)
    if not estimate.is_constant:
        return estimate
    pairs = estimate.groups + 2
    square = (estimate.groups * estimate.value**2 + span**2) / pairs
    return replace(estimate, item_variance=(square - (estimate.groups * estimate.value / pairs) ** 2) / pairs)


def _estimate(by_group: np.ndarray, cells: tuple[Crossed, ...], prior: SeedPrior) -> Estimate:
    several = [cell for cell in cells if cell.seeds > 1]
    item_variance = float(by_group.var(ddof=1)) / len(by_group)
    is_constant = max(item_variance, *(cell.seed_variance for cell in several), 0.0) < ROUNDING
    return Estimate(
        value=float(by_group.mean()),
        item_variance=item_variance,
        groups=len(by_group),
        seed_variances=() if is_constant else tuple(prior.squeeze(cell) for cell in several),
        is_constant=is_constant,
    )
