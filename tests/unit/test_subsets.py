"""Parts of a training split: nested, different by seed, and with labels in proportion where that is asked for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossover.encodings.tokens import Tokens
from crossover.errors import UserError
from crossover.specs.runs import TrainSubset
from crossover.training.subsets import draw_subset


def tokens_of(targets: list[int]) -> Tokens:
    """A split whose item i is i + 1 positions that say i."""
    lengths = np.arange(1, len(targets) + 1)
    offsets = np.concatenate([[0], lengths.cumsum()])
    return Tokens(np.repeat(np.arange(len(targets), dtype=np.uint16), lengths), offsets, np.array(targets), lengths)


def items_of(tokens: Tokens) -> list[int]:
    """The numbers of the items in a part of such a split, as a batch of each gives them."""
    found = []
    for index in range(len(tokens)):
        values, mask, _ = tokens.gather(np.array([index]))
        assert mask.all()
        assert set(values[0].tolist()) == {values[0, 0]}
        assert values.shape[1] == values[0, 0] + 1
        found.append(int(values[0, 0]))
    return found


splits = st.lists(st.integers(0, 3), min_size=2, max_size=60)


@given(targets=splits, seed=st.integers(0, 2**32), data=st.data(), drawn=st.sampled_from(["plain", "stratified"]))
def test_smaller_subsets_are_part_of_larger_ones(targets, seed, data, drawn):
    large = data.draw(st.integers(1, len(targets)))
    small = data.draw(st.integers(1, large))
    tokens = tokens_of(targets)
    few, many = (items_of(draw_subset(tokens, TrainSubset(items=size, drawn=drawn), seed)) for size in (small, large))
    assert len(set(few)) == small
    assert set(few) <= set(many)
    assert few == sorted(few), "in the order of the split"


@given(targets=splits, seed=st.integers(0, 2**32), data=st.data())
def test_a_stratified_subset_has_labels_in_the_proportions_of_the_whole(targets, seed, data):
    size = data.draw(st.integers(1, len(targets)))
    part = draw_subset(tokens_of(targets), TrainSubset(items=size, drawn="stratified"), seed)
    for label in set(targets):
        share = size * targets.count(label) / len(targets)
        assert abs((part.targets == label).sum() - share) < len(set(targets)), label


def test_a_quarter_of_a_balanced_split_is_balanced():
    part = draw_subset(tokens_of([0, 1] * 40), TrainSubset(items=20, drawn="stratified"), 3)
    assert np.bincount(part.targets).tolist() == [10, 10]


def test_every_item_is_as_likely_as_any_other():
    tokens, subset = tokens_of([0] * 20), TrainSubset(items=5, drawn="plain")
    counts = np.zeros(20)
    for seed in range(2000):
        counts[items_of(draw_subset(tokens, subset, seed))] += 1
    # Binomial(2000, 1/4): mean 500, deviation 19.4
    assert np.abs(counts - 500).max() < 5 * 19.4


def test_seeds_draw_different_items():
    tokens, subset = tokens_of([0] * 100), TrainSubset(items=10, drawn="plain")
    assert items_of(draw_subset(tokens, subset, 0)) != items_of(draw_subset(tokens, subset, 1))
    assert items_of(draw_subset(tokens, subset, 0)) == items_of(draw_subset(tokens, subset, 0))


def test_targets_stay_with_their_items():
    part = draw_subset(tokens_of(list(range(30))), TrainSubset(items=12, drawn="plain"), 5)
    assert part.targets.tolist() == items_of(part)
    assert (part.lengths == part.targets + 1).all()


def test_more_items_than_there_are_is_an_error():
    with pytest.raises(UserError, match="the training split has 3 items, but train_items asks for 4; remove that size"):
        draw_subset(tokens_of([0, 1, 0]), TrainSubset(items=4, drawn="plain"), 0)


def test_numbers_have_no_strata():
    tokens = replace(tokens_of([0, 1, 0]), targets=np.array([0.5, 1.5, 2.5], dtype=np.float32))
    with pytest.raises(UserError, match="stratified needs a task with labels"):
        draw_subset(tokens, TrainSubset(items=2, drawn="stratified"), 0)
