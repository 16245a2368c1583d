"""Paired comparisons of conditions on the same test items with the same seeds."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from crossover.errors import UserError
from crossover.metrics import METRICS
from crossover.specs.studies import StudySpec
from crossover.statistics.intervals import crossed_mean, difference_interval, group_means
from crossover.statistics.pairs import ConditionPair, comparable_pairs
from crossover.statistics.records import Scores
from crossover.statistics.tables import table_of

COLUMNS = [
    *("study", "task", "checkpoint", "other_checkpoint", "kind", "question", "a", "b", "held"),
    *("difference", "low", "high", "p", "p_holm"),
    *("interval_method", "items", "groups", "seeds"),
]


@dataclass(frozen=True)
class Scope:
    """Where two conditions are compared: on one task, or on all tasks (None), the first with one checkpoint and the second with one."""

    study: str
    checkpoint: str
    other_checkpoint: str
    task: str | None = None


@dataclass(frozen=True)
class Difference:
    """The mean paired difference of two conditions' test scores.

    Attributes:
        difference: a - b.
        low: lower limit of its interval.
        high: upper limit.
        p: two-sided p-value of no difference.
        interval_method: how the interval was computed.
        items: number of test items.
        groups: number of independent test items.
        seeds: number of seeds that both have.
    """

    difference: float
    low: float
    high: float
    p: float
    interval_method: str
    items: int
    groups: int
    seeds: int


def holm_adjusted(table: pd.DataFrame) -> pd.Series:
    """Return the column `p` after Holm's correction (1979) among the rows of each `question`; null stays null."""
    adjusted = pd.Series(np.nan, index=table.index)
    for index in table[table["p"].notna()].groupby("question").groups.values():
        adjusted[index] = multipletests(table.loc[index, "p"].to_numpy(float), method="holm")[1]
    return adjusted


def compare_conditions(spec: StudySpec, scores: Mapping[tuple[str, str, str], Scores]) -> pd.DataFrame:
    """Compare all pairs of conditions of every task and checkpoint, and what the study asks for.

    Args:
        spec: the study.
        scores: of each cell, by task, checkpoint and condition.

    Returns:
        One row per comparison: the mean difference a - b of test scores, its interval, the two-sided p-value, and that
        value after Holm's correction within the study and the question that the comparison asks. While runs are missing,
        two cells are compared on the seeds that both have. Cells of rows with a recipe or training of their own are
        compared with others of the same row alone, unless the study asks for it.

    Raises:
        UserError: two cells were not scored on the same items.
    """
    rows = []
    seen = set()  # conditions that are one model under two names are compared once
    own_training = {cell.key: cell.own_training for cell in spec.cells}
    for (pair, checkpoint, other), task in itertools.product(_pairs_of(spec), spec.tasks):
        keys = (task, checkpoint, pair.a), (task, other, pair.b)
        left, right = (scores.get(key) for key in keys)
        if not left or not right or (left.run, right.run, pair.question) in seen or left.run == right.run:
            continue
        if pair.kind != "asked" and own_training[keys[0]] != own_training[keys[1]]:
            continue  # they differ in how they were trained, too
        if common := tuple(seed for seed in left.seeds if seed in right.seeds):
            seen.add((left.run, right.run, pair.question))
            left, right = left.of_seeds(common), right.of_seeds(common)
            difference = compare_scores(left, right, spec.confidence, lowest_score(spec, task))
            rows.append((Scope(spec.study, checkpoint, other, task), pair, difference))
    table = table_of(rows, COLUMNS)
    table["p_holm"] = holm_adjusted(table)
    return table.astype(dict.fromkeys(("difference", "low", "high", "p", "p_holm"), float))


def _pairs_of(spec: StudySpec) -> Iterator[tuple[ConditionPair, str, str]]:
    """Yield pairs of conditions, with the checkpoint of the first and that of the second."""
    for pair, checkpoint in itertools.product(comparable_pairs(spec.conditions), spec.checkpoints):
        yield pair, checkpoint, checkpoint
    for asked in spec.compare:
        pair = ConditionPair("asked", asked.question, asked.a.condition, asked.b.condition, "")
        yield pair, asked.a.checkpoint, asked.b.checkpoint


def lowest_score(spec: StudySpec, task: str) -> float:
    """Return the lowest score that the metric of a task can have."""
    return METRICS[spec.tasks[task].metric].lowest


def compare_scores(left: Scores, right: Scores, confidence: float, lowest: float) -> Difference:
    """Return the mean paired difference of two scores of the same test items.

    Args:
        left: of some seeds.
        right: of the same seeds, or one score of each item for all of them.
        confidence: of the interval, such as 0.95.
        lowest: the lowest score that there can be.

    Raises:
        UserError: they are not scores of the same items.
    """
    if not np.array_equal(left.items, right.items):
        raise UserError(
            f"{left.run} and {right.run} cannot be compared, they were not scored on the same items; "
            "delete their folders in results/ and run snakemake again."
        )
    mean = crossed_mean(group_means(left.values - right.values, left.groups))
    interval, p = difference_interval(mean, confidence, lowest)
    return Difference(
        difference=mean.value,
        low=interval.low,
        high=interval.high,
        p=p,
        interval_method=interval.method,
        items=len(left.items),
        groups=mean.groups,
        seeds=mean.seeds,
    )
