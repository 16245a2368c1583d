"""Comparisons of conditions on the same test items."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from crossover.errors import UserError
from crossover.specs.studies import StudySpec
from crossover.statistics.crossed import Estimate
from crossover.statistics.intervals import detectable_difference, difference_interval, p_value, seeds_to_detect
from crossover.statistics.pairs import ConditionPair, Outcome, comparable_pairs
from crossover.statistics.records import Scores
from crossover.statistics.scored import ScoredStudy
from crossover.statistics.tables import table_of

COLUMNS = [
    *("study", "task", "checkpoint", "other_checkpoint", "kind", "question", "a", "b", "held"),
    *("difference", "low", "high", "standard_error", "p", "p_holm", "outcome", "detectable"),
    *("seeds_needed", "items", "groups", "seeds"),
]
NUMBERS = ["difference", "low", "high", "standard_error", "p", "p_holm", "detectable"]


@dataclass(frozen=True)
class Scope:
    """Where two conditions are compared: on one task, or on all tasks (None), the first with one checkpoint and the second with one."""

    study: str
    checkpoint: str
    other_checkpoint: str
    task: str | None = None


@dataclass(frozen=True)
class Difference:
    """The mean difference of two conditions' test scores.

    Attributes:
        difference: a - b.
        low: lower limit of its interval.
        high: upper limit.
        standard_error: of `difference`.
        p: two-sided p-value of no difference; NaN with one seed.
        items: number of test items.
        groups: number of independent test items.
        seeds: number of seeds, of the condition that has fewer.
    """

    difference: float
    low: float
    high: float
    standard_error: float
    p: float
    items: int
    groups: int
    seeds: int


@dataclass(frozen=True)
class Conclusion:
    """What follows from a difference among all that ask the same.

    Attributes:
        p_holm: its p-value after Holm's correction.
        outcome: `higher` or `lower` (shown), `equivalent` (within the margin), `undecided`; `one seed`: not tested.
        detectable: the smallest true difference that would be shown in four of five such studies; NaN with one seed.
        seeds_needed: with how many seeds that would be the margin; None where there is no need, or not enough test items.
    """

    p_holm: float
    outcome: Outcome
    detectable: float
    seeds_needed: int | None


@dataclass(frozen=True)
class Compared:
    """Two conditions that are compared: where, which, how sure their difference is, and what it is."""

    scope: Scope
    pair: ConditionPair
    estimate: Estimate
    difference: Difference


def holm_adjusted(table: pd.DataFrame) -> pd.Series:
    """Return the column `p` after Holm's correction (1979) among the rows of each `question`; null stays null."""
    adjusted = pd.Series(np.nan, index=table.index)
    for index in table[table["p"].notna()].groupby("question").groups.values():
        adjusted[index] = multipletests(table.loc[index, "p"].to_numpy(float), method="holm")[1]
    return adjusted


def compare_conditions(spec: StudySpec, study: ScoredStudy) -> pd.DataFrame:
    """Compare all pairs of conditions of every task and checkpoint, and what the study asks for.

    Args:
        spec: the study.
        study: its scores.

    Returns:
        One row per comparison: the columns of `Scope`, `ConditionPair`, `Difference` and `Conclusion`. Holm's correction is
        within the study and the question that the comparison asks. What did not train is not compared. Cells of rows with a
        recipe or training of their own are compared with others of the same row alone, unless the study asks for it.

    Raises:
        UserError: two cells were not scored on the same items.
    """
    compared = list(differences(spec, study))
    tested = pd.DataFrame(
        {"question": [one.pair.question for one in compared], "p": [one.difference.p for one in compared]}
    )
    number = tested.dropna().groupby("question").size()
    rows = [
        (one.scope, one.pair, one.difference, _conclude(one, p_holm, int(number.get(one.pair.question, 0)), spec))
        for one, p_holm in zip(compared, holm_adjusted(tested), strict=True)
    ]
    return table_of(rows, COLUMNS).astype(dict.fromkeys(NUMBERS, float) | {"seeds_needed": "Int64"})


def differences(spec: StudySpec, study: ScoredStudy) -> Iterator[Compared]:
    """Yield all comparisons of a study, each by itself.

    Raises:
        UserError: two cells were not scored on the same items.
    """
    seen = set()  # conditions that are one model under two names are compared once
    own_training = {cell.key: cell.own_training for cell in spec.cells}
    for (pair, checkpoint, other), task in itertools.product(_pairs_of(spec), spec.tasks):
        a, b = (task, checkpoint, pair.a), (task, other, pair.b)
        left, right = study.cells.get(a), study.cells.get(b)
        if not left or not right or (left.run, right.run, pair.question) in seen or left.run == right.run:
            continue
        if pair.kind != "asked" and own_training[a] != own_training[b]:
            continue  # they differ in how they were trained, too
        if left.did_train and right.did_train:
            seen.add((left.run, right.run, pair.question))
            check_items(left.scores, right.scores)
            estimate = study.difference(a, b)
            seeds = min(left.crossed.seeds, right.crossed.seeds)
            difference = make_difference(spec, estimate, study.span(task), seeds, len(left.scores.items))
            yield Compared(Scope(spec.study, checkpoint, other, task), pair, estimate, difference)


def _pairs_of(spec: StudySpec) -> Iterator[tuple[ConditionPair, str, str]]:
    """Yield pairs of conditions, with the checkpoint of the first and that of the second."""
    for pair, checkpoint in itertools.product(comparable_pairs(spec.conditions), spec.checkpoints):
        yield pair, checkpoint, checkpoint
    for asked in spec.compare:
        pair = ConditionPair("asked", asked.question, asked.a.condition, asked.b.condition, "")
        yield pair, asked.a.checkpoint, asked.b.checkpoint


def check_items(left: Scores, right: Scores) -> None:
    """Raise unless two scores are of the same test items.

    Raises:
        UserError: they are not.
    """
    if not np.array_equal(left.items, right.items):
        raise UserError(
            f"{left.run} and {right.run} cannot be compared, they were not scored on the same items; "
            "delete their folders in results/ and run snakemake again."
        )


def make_difference(spec: StudySpec, estimate: Estimate, span: float, seeds: int, items: int) -> Difference:
    """Return a difference with its interval and, of several seeds, its p-value.

    Args:
        spec: the study.
        estimate: of the difference.
        span: the largest one that two scores can have.
        seeds: of the side that has fewer.
        items: number of test items.
    """
    interval = difference_interval(estimate, spec.confidence, span)
    return Difference(
        difference=estimate.value,
        low=interval.low,
        high=interval.high,
        standard_error=float(np.sqrt(estimate.variance)),
        p=p_value(estimate) if seeds > 1 else np.nan,
        items=items,
        groups=estimate.groups,
        seeds=seeds,
    )


def _conclude(one: Compared, p_holm: float, comparisons: int, spec: StudySpec) -> Conclusion:
    """Return what follows from a difference.

    Args:
        one: the comparison.
        p_holm: its corrected p-value.
        comparisons: number of those that ask the same.
        spec: the study.
    """
    outcome = outcome_of(spec, one.difference, p_holm)
    if outcome == "one seed":
        return Conclusion(p_holm, outcome, np.nan, None)
    confidence = 1 - (1 - spec.confidence) / comparisons
    needed = seeds_to_detect(one.estimate, confidence, spec.margin) if outcome == "undecided" else None
    return Conclusion(p_holm, outcome, detectable_difference(one.estimate, confidence), needed)


def outcome_of(spec: StudySpec, difference: Difference, p_holm: float) -> Outcome:
    """Return what is shown of a difference.

    Two conditions are equivalent where the whole interval is within the margin: the two one-sided tests of Schuirmann (1987,
    J. Pharmacokinetics and Biopharmaceutics 15:657-680), at half the level that they usually have.

    Args:
        spec: the study.
        difference: a - b.
        p_holm: its corrected p-value.
    """
    if difference.seeds == 1:
        return "one seed"
    if p_holm < 1 - spec.confidence:
        return "higher" if difference.difference > 0 else "lower"
    return "equivalent" if max(-difference.low, difference.high) < spec.margin else "undecided"
