"""Intervals against closed forms, other implementations, and simulated samples."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.proportion import proportion_confint

from crossover.statistics.intervals import Mean, crossed_mean, difference_interval, group_means, score_interval


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_equal_items_give_students_interval_over_seeds():
    seeds = np.array([0.4, 0.5, 0.55, 0.62])
    mean = crossed_mean(np.repeat(seeds[:, None], 50, axis=1))
    expected = stats.ttest_1samp(seeds, 0).confidence_interval(0.95)
    assert score_interval(mean, 0.95).low == pytest.approx(expected.low)
    assert score_interval(mean, 0.95).high == pytest.approx(expected.high)


def test_equal_seeds_give_students_interval_over_items():
    items = generator(1).uniform(0.3, 0.7, 40)
    expected = stats.ttest_1samp(items, 0).confidence_interval(0.95)
    for seeds in (1, 3):
        interval = score_interval(crossed_mean(np.tile(items, (seeds, 1))), 0.95)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_mean_squares_are_those_of_a_two_way_anova():
    values = generator(2).normal(0, 1, (4, 6)) + generator(3).normal(0, 2, (4, 1)) + generator(4).normal(0, 2, (1, 6))
    seed, item = np.indices(values.shape)
    table = anova_lm(
        ols("y ~ C(s) + C(i)", pd.DataFrame({"y": values.ravel(), "s": seed.ravel(), "i": item.ravel()})).fit()
    )
    a, b, r = table["sum_sq"] / table["df"]
    assert a + b - r > max(a, b)
    mean = crossed_mean(values)
    assert mean.value == pytest.approx(values.mean())
    assert mean.variance == pytest.approx((a + b - r) / 24)
    assert mean.degrees_of_freedom == pytest.approx((a + b - r) ** 2 / (a**2 / 3 + b**2 / 5 + r**2 / 15))


def test_variance_is_never_below_that_of_one_factor():
    for seed in range(50):
        values = (generator(seed).random((3, 30)) < 0.5) * 1.0
        mean = crossed_mean(values)
        assert mean.variance >= values.mean(axis=1).var(ddof=1) / 3 - 1e-15
        assert mean.variance >= values.mean(axis=0).var(ddof=1) / 30 - 1e-15


def test_segments_of_a_piece_count_as_one_item():
    pieces = generator(5).uniform(0, 1, (3, 20))
    alone = crossed_mean(group_means(pieces, np.arange(20)))
    groups = np.repeat(np.arange(20), 4)
    repeated = crossed_mean(group_means(np.repeat(pieces, 4, axis=1), groups))
    assert repeated == alone or repeated.variance == pytest.approx(alone.variance)
    assert repeated.groups == 20


@given(st.lists(st.integers(1, 5), min_size=2, max_size=8), st.integers(0, 1000))
def test_group_means_keep_the_mean_over_items(sizes, seed):
    groups = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    scores = generator(seed).random((2, len(groups)))
    values = group_means(scores, groups)
    assert values.shape == (2, len(sizes))
    assert values.mean(axis=1) == pytest.approx(scores.mean(axis=1))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_perfect_score_gets_clopper_and_pearsons_interval(share):
    mean = crossed_mean(np.full((3, 80), share))
    interval = score_interval(mean, 0.95)
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(80 * share, 80, method="beta"))
    assert interval.method == "Korn-Graubard"


def test_an_interval_that_would_leave_the_range_is_exact_and_contains_the_score():
    values = np.ones((3, 50))
    values[0, 0] = 0
    mean = crossed_mean(values)
    interval = score_interval(mean, 0.95)
    assert interval.method == "Korn-Graubard"
    assert 0 < interval.low < mean.value < interval.high < 1


@given(st.integers(1, 4), st.integers(2, 12), st.integers(0, 500), st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]))
def test_intervals_of_scores_are_bounded_and_contain_the_score(seeds, items, seed, share):
    mean = crossed_mean((generator(seed).random((seeds, items)) < share) * 1.0)
    interval = score_interval(mean, 0.95)
    assert 0 <= interval.low <= mean.value <= interval.high <= 1
    assert interval.high - interval.low > 0


@given(st.integers(1, 4), st.integers(2, 12), st.integers(0, 500), st.sampled_from([0.0, 0.5, 1.0]))
def test_intervals_of_differences_agree_with_their_p_values(seeds, items, seed, share):
    rng = generator(seed)
    mean = crossed_mean((rng.random((seeds, items)) < share) * 1.0 - (rng.random((seeds, items)) < 0.5))
    interval, p = difference_interval(mean, 0.95)
    assert -1 <= interval.low <= mean.value <= interval.high <= 1
    assert 0 <= p <= 1
    if abs(p - 0.05) > 1e-9:
        assert (p < 0.05) == (interval.low > 0 or interval.high < 0)


def test_a_paired_difference_over_items_is_students_paired_test():
    rng = generator(6)
    a, b = rng.uniform(0, 1, 60), rng.uniform(0, 1, 60)
    interval, p = difference_interval(crossed_mean((a - b)[None]), 0.95)
    expected = stats.ttest_rel(a, b)
    assert p == pytest.approx(expected.pvalue)
    assert interval.low == pytest.approx(expected.confidence_interval().low)


def test_two_perfect_conditions_are_not_proven_equal():
    interval, p = difference_interval(crossed_mean(np.zeros((3, 100))), 0.95)
    # Agresti and Min with no discordant pair among 100: 1.96 / 102
    assert (interval.low, interval.high) == pytest.approx((-1.96 / 102, 1.96 / 102), rel=1e-4)
    assert p == 1
    interval, p = difference_interval(crossed_mean(np.ones((3, 100))), 0.95)
    assert 0.9 < interval.low < interval.high == 1
    assert p < 1e-9


def draw(rng: np.random.Generator, samples: int, seeds: int, items: int, spread: float, own: float) -> np.ndarray:
    """Right or wrong answers [samples, seeds, items] of a logistic model; items are partly shared, as by two conditions."""
    item = np.random.Generator(np.random.PCG64(99)).normal(0, 2, (samples, 1, items))
    seed = rng.normal(0, spread, (samples, seeds, 1))
    chance = 0.5 + item + seed + rng.normal(0, own, (samples, 1, items)) + rng.normal(0, 0.5, (samples, seeds, items))
    return (rng.random(chance.shape) < 1 / (1 + np.exp(-chance))) * 1.0


@pytest.mark.parametrize(
    ("seeds", "items", "spread"),
    [(3, 100, 0.0), (3, 300, 0.2), (3, 300, 0.5), (5, 200, 0.3), (5, 40, 0.0), (1, 200, 0.0)],
)
def test_coverage(seeds, items, spread):
    deviates = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    truth = (1 / (1 + np.exp(-0.5 - np.sqrt(2**2 + spread**2 + 0.5**2) * deviates))).mean()
    hits = [
        interval.low <= truth <= interval.high
        for values in draw(generator(7), 1500, seeds, items, spread, 0.0)
        for interval in [score_interval(crossed_mean(values), 0.95)]
    ]
    assert 0.91 <= np.mean(hits) <= 0.985


@pytest.mark.parametrize(
    ("seeds", "items", "spread"),
    [(3, 100, 0.0), (3, 300, 0.2), (3, 300, 0.5), (5, 200, 0.3), (5, 40, 0.0), (1, 200, 0.0)],
)
def test_false_alarms_of_the_paired_test(seeds, items, spread):
    a = draw(generator(8), 1500, seeds, items, spread, 0.5)
    b = draw(generator(9), 1500, seeds, items, spread, 0.5)
    alarms = [difference_interval(crossed_mean(values), 0.95)[1] < 0.05 for values in a - b]
    assert np.mean(alarms) <= 0.075


def test_real_differences_are_found():
    a, b = (draw(generator(seed), 200, 3, 300, 0.1, 0.5) for seed in (10, 11))
    b = b * (generator(12).random(b.shape) < 0.75)  # a quarter of the right answers turns wrong
    found = [difference_interval(crossed_mean(values), 0.95)[1] < 0.05 for values in a - b]
    assert np.mean(found) > 0.8


def test_one_seed_says_so():
    assert crossed_mean(np.eye(4)[:1]) == Mean(0.25, pytest.approx(0.0625), 3, 1, 4)
