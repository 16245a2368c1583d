"""Metrics against other libraries and against the definition of the jackknife."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import f1_score, matthews_corrcoef

from crossover.metrics import METRICS, Metric, RawTargets, item_scores, score


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
def test_the_mean_over_items_is_the_metric(metric, pairs):
    targets, predictions = np.array(pairs).T
    expected = BY_HAND[metric](targets, predictions)
    assert score(metric, targets, predictions, 1) == pytest.approx(expected, abs=1e-9)
    assert item_scores(metric, targets, predictions, 1).mean() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@given(answers)
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


# --- floors -------------------------------------------------------------------------------------------------


def test_a_metric_without_a_floor_cannot_be_declared():
    with pytest.raises(TypeError, match="floor"):
        Metric("recall", "recall", 0.0, METRICS["accuracy"].score)


TRAIN, TEST = np.array(["b", "a", "b", "a"]), np.array(["a", "a", "b", "c"])


def test_the_floor_of_accuracy_is_the_most_frequent_class_and_of_two_the_first_by_name():
    share, rule = METRICS["accuracy"].floor(RawTargets(TRAIN, TEST))
    assert (share, rule) == (0.5, "share of the test items of 'a', the most frequent training class")


def test_the_floor_of_votes_is_over_groups():
    share, rule = METRICS["accuracy"].floor(RawTargets(TRAIN, TEST, voted=np.array(["a", "b", "c"])))
    assert share == pytest.approx(1 / 3)
    assert rule == "share of the groups of test items of 'a', the most frequent training class"


def test_the_floor_of_bits_is_the_more_frequent_bit():
    train, test = np.array([[1, 1], [0, 1]]), np.array([[1, 0], [1, 1]])
    share, rule = METRICS["accuracy"].floor(RawTargets(train, test))
    assert (share, rule) == (0.75, "share of the test bits that are 1, the more frequent bit in training")


def test_the_floor_of_f1_names_every_item_positive():
    share, rule = METRICS["f1"].floor(RawTargets(TRAIN, TEST, positive="a"))
    assert share == pytest.approx(f1_score(TEST == "a", [True] * 4))
    assert rule == "F1 when every test item is called 'a'"


@pytest.mark.parametrize("metric", ["mcc", "spearman"])
def test_the_floor_of_a_correlation_is_zero(metric):
    floor = METRICS[metric].floor(RawTargets(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
    assert floor == (0.0, "a correlation is 0 when all answers are the same")
