"""Paired comparisons of conditions on the same test items with the same seeds."""

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from crossover.config.labels import Choice, body_kind, body_name, input_kind, input_name, trained_name
from crossover.errors import UserError
from crossover.metrics import METRICS
from crossover.statistics.intervals import crossed_mean, difference_interval, group_means
from crossover.statistics.records import Scores

COLUMNS = [
    *("study", "task", "checkpoint", "kind", "question", "a", "b", "held", "difference", "low", "high", "p", "p_holm"),
    *("interval_method", "items", "groups", "seeds"),
]


AGAINST_RANDOM = "pretrained or random body"  # the question that a study's headline answers


@dataclass(frozen=True)
class Pair:
    """Two conditions that differ in one choice alone.

    Attributes:
        kind: the choice: `body`, `input` or `trained`.
        question: what the comparison asks. Those that ask the same are corrected together.
        a: the first condition: with the pretrained body or input, or with a part of the model trained.
        b: the second one.
        held: what both share, in words.
    """

    kind: str
    question: str
    a: str
    b: str
    held: str


def pairs(conditions: dict[str, dict[str, Any]]) -> list[Pair]:
    """The conditions to compare, by kind: bodies come first, then inputs, then what is trained.

    A pretrained body is compared with every other one, and the first blocks of one with as many random blocks; the
    pretrained input with every other one; training a part, or parts at rates of their own, with training everything.

    Args:
        conditions: body, input and trained of each condition.
    """
    found = []
    for (a, left), (b, right) in itertools.permutations(conditions.items(), 2):
        (body, entry, trained), (other_body, other_entry, other) = (
            (one["body"], one["input"], trained_name(one["trained"])) for one in (left, right)
        )
        inside, enters, learns = f"body {body_name(body)}", f"input {input_name(entry)}", f"trained {trained}"
        if (entry, trained) == (other_entry, other) and (question := _question_of_bodies(body, other_body)):
            found.append(Pair("body", question, a, b, f"{enters}, {learns}"))
        if (body, trained) == (other_body, other) and entry == "pretrained" != other_entry:
            question = f"pretrained or {input_kind(other_entry)} input"
            found.append(Pair("input", question, a, b, f"{inside}, {learns}"))
        if (body, entry) == (other_body, other_entry) and trained != "all" == other:
            question = "rates of their own or one rate" if "all" in left["trained"] else "a part or everything trained"
            found.append(Pair("trained", question, a, b, f"{inside}, {enters}"))
    return sorted(found, key=lambda pair: pair.kind)


def _question_of_bodies(body: Choice, other: Choice) -> str | None:
    """What the comparison of two bodies asks, or None where they are not compared."""
    if body == "pretrained" != other and body_kind(other) != "truncated random":
        return f"pretrained or {body_kind(other)} body"
    if isinstance(body, dict) and body.get("of") == "pretrained" and other == body | {"of": "random"}:
        return AGAINST_RANDOM
    return None


def holm(table: pd.DataFrame) -> pd.Series:
    """The column `p` after Holm's correction (1979) among the rows of each `question`; null stays null."""
    corrected = pd.Series(np.nan, index=table.index)
    for index in table[table["p"].notna()].groupby("question").groups.values():
        corrected[index] = multipletests(table.loc[index, "p"].to_numpy(float), method="holm")[1]
    return corrected


def compare_conditions(spec: dict[str, Any], scores: dict[tuple[str, str, str], Scores]) -> pd.DataFrame:
    """Compare all pairs of conditions of every task and checkpoint.

    Args:
        spec: the study's spec.
        scores: of each cell, by task, checkpoint and condition.

    Returns:
        One row per comparison: the mean difference a - b of test scores, its interval, the two-sided p-value, and that
        value after Holm's correction within the study and the question that the comparison asks. While runs are missing,
        two cells are compared on the seeds that both have.

    Raises:
        UserError: two cells were not scored on the same items.
    """
    rows = []
    for pair in pairs(spec["conditions"]):
        for checkpoint, task in itertools.product(spec["checkpoints"], spec["tasks"]):
            left, right = scores.get((task, checkpoint, pair.a)), scores.get((task, checkpoint, pair.b))
            if left and right and (common := tuple(seed for seed in left.seeds if seed in right.seeds)):
                left, right = left.of_seeds(common), right.of_seeds(common)
                labels = {"study": spec["study"], "task": task, "checkpoint": checkpoint, **asdict(pair)}
                rows.append(labels | _compare(left, right, spec["confidence"], lowest_score(spec, task)))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["p_holm"] = holm(table)
    return table.astype(dict.fromkeys(("difference", "low", "high", "p", "p_holm"), float))


def lowest_score(spec: dict[str, Any], task: str) -> float:
    """The lowest score that the metric of a task can have."""
    return METRICS[spec["tasks"][task]["metric"]].low


def _compare(left: Scores, right: Scores, confidence: float, lowest: float) -> dict[str, Any]:
    if not np.array_equal(left.items, right.items):
        raise UserError(
            f"runs {left.run} and {right.run} cannot be compared, they were not scored on the same items; "
            "delete both folders in results/runs/ and run snakemake again."
        )
    mean = crossed_mean(group_means(left.values - right.values, left.groups))
    interval, p = difference_interval(mean, confidence, lowest)
    return {
        "difference": mean.value,
        "low": interval.low,
        "high": interval.high,
        "p": p,
        "interval_method": interval.method,
        "items": len(left.items),
        "groups": mean.groups,
        "seeds": mean.seeds,
    }
