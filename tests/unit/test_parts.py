"""Batches in parts by length: against all other divisions, and against the undivided batch."""

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from crossover.training.parts import PART_COST, parts_by_length

CPU = torch.device("cpu")
LENGTHS = st.lists(st.integers(1, 700), min_size=1, max_size=9).map(np.array)


def cost(lengths: np.ndarray, parts: list[np.ndarray]) -> int:
    return sum(PART_COST["cpu"] + len(part) * lengths[part].max() for part in parts)


def divisions(order: np.ndarray, most: int):
    """Every division of a sequence into parts that follow each other."""
    for cuts in range(2 ** (len(order) - 1)):
        ends = [place + 1 for place in range(len(order) - 1) if cuts >> place & 1]
        parts = [order[begin:end] for begin, end in pairwise([0, *ends, len(order)])]
        if all(len(part) <= most for part in parts):
            yield parts


@given(lengths=LENGTHS, most=st.integers(1, 9))
def test_no_division_of_the_items_by_length_costs_less(lengths, most):
    parts = parts_by_length(lengths, most, CPU)
    assert sorted(np.concatenate(parts)) == list(range(len(lengths)))
    assert max(len(part) for part in parts) <= most
    assert all(lengths[part[0]] == lengths[part].max() for part in parts)
    order = np.argsort(-lengths, kind="stable")
    assert cost(lengths, parts) == min(cost(lengths, other) for other in divisions(order, most))


def test_items_of_one_length_are_not_divided():
    assert len(parts_by_length(np.full(64, 500), 64, CPU)) == 1


def test_a_gpu_is_given_larger_parts():
    lengths = np.array([500] * 4 + [60] * 12)
    assert len(parts_by_length(lengths, 16, CPU)) == 2
    assert len(parts_by_length(lengths, 16, torch.device("cuda"))) == 1
