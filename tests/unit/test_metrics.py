"""Metrics against other libraries and against the definition of the jackknife."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import f1_score, matthews_corrcoef

from crossover.metrics import METRICS, item_scores, score


def pearson_of_ranks(targets, predictions):
    ranks = rankdata(targets), rankdata(predictions)
    return 0.0 if min(map(np.ptp, ranks)) == 0 else np.corrcoef(*ranks)[0, 1]


BY_HAND = {
    "accuracy": lambda targets, predictions: (targets == predictions).mean(),
    "mcc": matthews_corrcoef,
    "f1": lambda targets, predictions: f1_score(targets == 1, predictions == 1, zero_division=0.0),
    "spearman": pearson_of_ranks,
}
answers = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=12)


@pytest.mark.parametrize("metric", METRICS)
@given(answers)
@settings(max_examples=30)
def test_the_mean_over_items_is_the_metric(metric, pairs):
    targets, predictions = np.array(pairs).T
    expected = BY_HAND[metric](targets, predictions)
    assert score(metric, targets, predictions, 1) == pytest.approx(expected, abs=1e-9)
    assert item_scores(metric, targets, predictions, 1).mean() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@given(answers)
@settings(max_examples=30)
def test_items_have_their_jackknife_pseudo_values(metric, pairs):
    """The definition: n times the metric less n - 1 times the metric without the item, up to a constant."""
    targets, predictions = np.array(pairs).T
    everything = np.arange(len(targets))
    without = np.array(
        [BY_HAND[metric](targets[everything != left], predictions[everything != left]) for left in everything]
    )
    found = item_scores(metric, targets, predictions, 1)
    assert found - found.mean() == pytest.approx((len(targets) - 1) * (without.mean() - without), abs=1e-9)


def test_the_spread_of_pseudo_values_is_that_of_the_metric_over_samples():
    """Spearman's correlation of fresh samples varies as much as the pseudo-values of one sample say."""
    rng = np.random.default_rng(0)

    def sample():
        x = rng.normal(size=400)
        return x, 0.6 * x + 0.8 * rng.normal(size=400)

    scores = [score("spearman", *sample()) for _ in range(400)]
    estimates = [item_scores("spearman", *sample()).std(ddof=1) / np.sqrt(400) for _ in range(20)]
    assert np.mean(estimates) == pytest.approx(np.std(scores), rel=0.15)


def test_bits_are_scored_by_their_share():
    targets = np.array([[[0, 1], [1, 1]], [[1, 1], [0, 0]]])
    predictions = np.array([[[0, 1], [1, 0]], [[1, 1], [0, 0]]])
    assert item_scores("accuracy", targets, predictions).tolist() == [0.75, 1.0]
    assert score("accuracy", targets, predictions) == 0.875
