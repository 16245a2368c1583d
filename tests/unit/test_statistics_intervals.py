"""Intervals, tests and what they rest on, against closed forms and other implementations."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from crossover.statistics.crossed import (
    Estimate,
    SeedPrior,
    SeedVariance,
    crossed,
    difference_of,
    mean_of,
    seed_prior,
)
from crossover.statistics.intervals import (
    Interval,
    detectable_difference,
    difference_interval,
    group_means,
    p_value,
    score_interval,
    seeds_to_detect,
)

ALONE = SeedPrior(0.0, 0.0)
MARGIN = 0.05


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def interval_of(values: np.ndarray) -> Interval:
    return score_interval(mean_of(crossed(values), ALONE), 0.95)


def compare(a: np.ndarray, b: np.ndarray) -> tuple[Estimate, Interval, float]:
    estimate = difference_of(crossed(a), crossed(b), ALONE, span=1.0)
    return estimate, difference_interval(estimate, 0.95), p_value(estimate)


# --- one source of variance: Student's t ---------------------------------------------------------------------


def test_equal_items_give_students_interval_over_seeds():
    seeds = np.array([0.4, 0.5, 0.55, 0.62])
    interval = interval_of(np.repeat(seeds[:, None], 50, axis=1))
    expected = stats.ttest_1samp(seeds, 0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=2e-4)


def test_equal_seeds_give_students_interval_over_items():
    items = generator(1).uniform(0.3, 0.7, 40)
    expected = stats.ttest_1samp(items, 0).confidence_interval(0.95)
    for seeds in (1, 3):
        interval = interval_of(np.tile(items, (seeds, 1)))
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=2e-5)


@pytest.mark.parametrize("freedom", [1, 2, 6, 10])
@pytest.mark.parametrize("distance", [1.0, 4.0, 8.0])
def test_a_p_value_is_students_into_the_tail(freedom, distance):
    alone = Estimate(distance, 0.0, 300, (SeedVariance(3.0, 0.0, 3, freedom),), False)
    assert p_value(alone) == pytest.approx(2 * stats.t.sf(distance, freedom), rel=0.04)


def test_a_paired_difference_over_items_is_students_paired_test():
    rng = generator(6)
    a, b = rng.uniform(0, 1, (1, 60)), rng.uniform(0, 1, (1, 60))
    _, interval, p = compare(a, b)
    expected = stats.ttest_rel(a[0], b[0])
    assert p == pytest.approx(expected.pvalue, rel=1e-3)
    assert interval.low == pytest.approx(expected.confidence_interval().low, abs=1e-4)


def test_an_interval_within_the_margin_is_what_two_one_sided_tests_show():
    decided = set()
    for place, shift in enumerate(np.linspace(-0.06, 0.06, 25)):
        rng = generator(place)
        a = rng.uniform(0.4, 0.6, (1, 80))
        b = a - shift + rng.normal(0, 0.1, (1, 80))
        _, interval, _ = compare(a, b)
        is_equivalent = bool(ttost_paired(a[0], b[0], -MARGIN, MARGIN)[0] < 0.025)
        assert (max(-interval.low, interval.high) < MARGIN) == is_equivalent
        decided.add(is_equivalent)
    assert decided == {True, False}


# --- several sources -------------------------------------------------------------------------------------------


def test_variances_are_those_of_a_two_way_anova():
    values = generator(2).normal(0, 1, (4, 6)) + generator(3).normal(0, 2, (4, 1)) + generator(4).normal(0, 2, (1, 6))
    seed, item = np.indices(values.shape)
    table = anova_lm(
        ols("y ~ C(s) + C(i)", pd.DataFrame({"y": values.ravel(), "s": seed.ravel(), "i": item.ravel()})).fit()
    )
    a, b, r = table["sum_sq"] / table["df"]
    assert a + b - r > max(a, b)
    mean = mean_of(crossed(values), ALONE)
    assert mean.value == pytest.approx(values.mean())
    assert mean.variance == pytest.approx((a + b - r) / 24)


@pytest.mark.parametrize(("spread", "other"), [(0.02, 0.02), (0.01, 0.06)])
def test_two_groups_of_seeds_are_compared_as_by_behrens_and_fisher(spread, other):
    """All items of a seed are alike here, so that seeds alone vary; the p-value is that of a difference of two t variables."""
    a = np.repeat(0.6 + spread * np.array([-1.0, 0, 1])[:, None], 30, axis=1)
    b = np.repeat(0.5 + other * np.array([-1.2, -0.1, 0.2, 1.1])[:, None], 30, axis=1)
    estimate, _, p = compare(a, b)
    errors = [stats.sem(values[:, 0]) for values in (a, b)]

    def beyond(t: float) -> float:
        return stats.t.pdf(t, 2) * stats.t.cdf((-abs(estimate.value) - errors[0] * t) / errors[1], 3)

    assert p == pytest.approx(2 * integrate.quad(beyond, -np.inf, np.inf)[0], rel=0.01)


def test_seeds_are_not_paired_by_their_number():
    rng = generator(8)
    a, b = (rng.random((3, 90)) < share for share in (0.7, 0.6))
    assert compare(a * 1.0, b[[2, 0, 1]] * 1.0) == compare(a * 1.0, b * 1.0)
    assert len(compare(a * 1.0, b[:2] * 1.0)[0].seed_variances) == 2


def test_variance_is_never_below_that_of_one_factor():
    for seed in range(50):
        values = (generator(seed).random((3, 30)) < 0.5) * 1.0
        mean = mean_of(crossed(values), ALONE)
        assert mean.variance >= values.mean(axis=1).var(ddof=1) / 3 - 1e-15
        assert mean.variance >= values.mean(axis=0).var(ddof=1) / 30 - 1e-15


def test_segments_of_a_piece_count_as_one_item():
    pieces = generator(5).uniform(0, 1, (3, 20))
    alone = mean_of(crossed(group_means(pieces, np.arange(20))), ALONE)
    groups = np.repeat(np.arange(20), 4)
    repeated = mean_of(crossed(group_means(np.repeat(pieces, 4, axis=1), groups)), ALONE)
    assert repeated.variance == pytest.approx(alone.variance)
    assert repeated.groups == 20


@given(st.lists(st.integers(1, 5), min_size=2, max_size=8), st.integers(0, 1000))
def test_group_means_keep_the_mean_over_items(sizes, seed):
    groups = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    scores = generator(seed).random((2, len(groups)))
    values = group_means(scores, groups)
    assert values.shape == (2, len(sizes))
    assert values.mean(axis=1) == pytest.approx(scores.mean(axis=1))


# --- what the cells of a study share -----------------------------------------------------------------------------


def cells_with(variances: list[float], seeds: int = 3) -> list:
    """Cells whose seeds' means have these variances."""
    form = np.linspace(-1, 1, seeds)
    form /= form.std(ddof=1)
    return [crossed(np.repeat(0.5 + np.sqrt(variance) * form[:, None], 4, axis=1)) for variance in variances]


def test_the_prior_is_as_strong_as_the_variances_are_alike():
    """The logarithms' variance is trigamma(1) by chance, with three seeds, and again by a prior of two degrees of freedom."""
    logarithms = np.array([-9.0, -4.0, -7.0, -5.0, -10.0])
    logarithms *= np.pi / np.sqrt(3) / logarithms.std(ddof=1)  # trigamma(1) is pi**2 / 6
    prior = seed_prior(cells_with(list(np.exp(logarithms))))
    assert prior.degrees_of_freedom == pytest.approx(2)
    assert prior.variance == pytest.approx(np.exp(logarithms).mean())


def test_the_prior_is_limited_and_never_counts_a_cell_twice():
    assert seed_prior(cells_with([1e-3] * 9)).degrees_of_freedom == 4
    assert seed_prior(cells_with([1e-3] * 2)).degrees_of_freedom == 2  # those of the other cell
    assert seed_prior(cells_with([1e-3])) == ALONE
    assert seed_prior(cells_with([0.0, 0.0, 0.0])) == ALONE
    one_seed = crossed(np.linspace(0, 1, 5)[None])
    assert seed_prior([*cells_with([1e-3] * 2), one_seed]) == seed_prior(cells_with([1e-3] * 2))


def test_variances_are_squeezed_towards_the_mean():
    [calm, *_] = cells_with([1e-4, 9e-4])
    found = SeedPrior(5e-4, 4.0).squeeze(calm)
    assert (found.variance, found.degrees_of_freedom) == (pytest.approx((4 * 5e-4 + 2 * 1e-4) / 6), 6)


# --- limits of the range -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_perfect_score_gets_clopper_and_pearsons_interval(share):
    interval = interval_of(np.full((3, 80), share))
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(80 * share, 80, method="beta"))
    assert interval.method == "Korn-Graubard"


def test_an_interval_that_would_leave_the_range_is_exact_and_contains_the_score():
    values = np.ones((3, 50))
    values[0, 0] = 0
    interval = interval_of(values)
    assert interval.method == "Korn-Graubard"
    assert 0 < interval.low < values.mean() < interval.high < 1


@given(st.integers(1, 4), st.integers(2, 12), st.integers(0, 500), st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]))
def test_intervals_of_scores_are_bounded_and_contain_the_score(seeds, items, seed, share):
    values = (generator(seed).random((seeds, items)) < share) * 1.0
    interval = interval_of(values)
    assert 0 <= interval.low <= values.mean() <= interval.high <= 1
    assert interval.high - interval.low > 0


@given(st.integers(1, 4), st.integers(2, 12), st.integers(0, 500), st.sampled_from([0.0, 0.5, 1.0]))
def test_intervals_of_differences_agree_with_their_p_values(seeds, items, seed, share):
    rng = generator(seed)
    estimate, interval, p = compare(
        (rng.random((seeds, items)) < share) * 1.0, (rng.random((seeds, items)) < 0.5) * 1.0
    )
    assert -1 <= interval.low <= estimate.value <= interval.high <= 1
    assert 0 <= p <= 1
    if abs(p - 0.05) > 1e-9:
        assert (p < 0.05) == (interval.low > 0 or interval.high < 0)


def test_two_perfect_conditions_are_not_proven_equal():
    _, interval, p = compare(np.ones((3, 100)), np.ones((3, 100)))
    # Agresti and Min with no discordant pair among 100: a standard error of 1 / 102
    half = stats.t.isf(0.025, 99) / 102
    assert (interval.low, interval.high) == pytest.approx((-half, half), rel=1e-3)
    assert p == pytest.approx(1)
    _, interval, p = compare(np.ones((3, 100)), np.zeros((3, 100)))
    assert 0.9 < interval.low < interval.high == 1
    assert p < 1e-9


# --- planning ------------------------------------------------------------------------------------------------------


def test_what_items_can_detect_is_what_a_t_test_has_the_power_for():
    a, b = (generator(seed).uniform(0, 1, (1, 200)) for seed in (12, 13))
    expected = TTestPower().solve_power(nobs=200, alpha=0.05, power=0.8) * (a - b).std(ddof=1)
    assert detectable_difference(compare(a, b)[0], 0.95) == pytest.approx(expected, rel=0.01)


def test_as_many_seeds_are_needed_as_detect_the_difference():
    cells = [(generator(seed).random((3, 4000)) < 0.5 + 0.02 * np.array([[-1], [0], [1]])) * 1.0 for seed in (14, 15)]
    estimate = compare(*cells)[0]
    assert estimate.with_seeds(3).variance == pytest.approx(estimate.variance)
    detectable = [detectable_difference(estimate.with_seeds(seeds), 0.95) for seeds in range(2, 60)]
    assert detectable == sorted(detectable, reverse=True)
    needed = seeds_to_detect(estimate, 0.95, MARGIN)
    assert needed == 2 + next(place for place, size in enumerate(detectable) if size <= MARGIN)
    assert seeds_to_detect(estimate, 0.95, 0.001) is None  # not with 4,000 items, however many seeds
