"""Paired comparisons of conditions on the same test items with the same seeds."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from crossover.errors import UserError
from crossover.metrics import METRICS
from crossover.statistics.intervals import crossed_mean, difference_interval, group_means
from crossover.statistics.records import Scores

COLUMNS = [
    *("study", "task", "checkpoint", "kind", "a", "b", "held", "difference", "low", "high", "p", "p_holm"),
    *("interval_method", "items", "groups", "seeds"),
]


def trained_name(trained: str | list[str]) -> str:
    """One word for what is trained: the preset, or the groups joined."""
    return trained if isinstance(trained, str) else "+".join(trained)


def body_name(body: str | dict[str, Any]) -> str:
    """A few words for the weights inside."""
    if isinstance(body, str):
        return body
    match body["kind"]:
        case "reinit":
            which, count, start = (body["blocks"][key] for key in ("which", "count", "start"))
            chosen = f"{which} {count}" if which in ("first", "last") else f"{which} {start}-{start + count - 1}"
            return f"reinit {chosen}"
        case "permuted":
            return f"permuted {body['seed']}"
        case "truncated":
            return f"truncated {body['blocks']}"
    return str(body["kind"])


def pairs(conditions: dict[str, dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """The conditions that differ in one choice alone.

    Args:
        conditions: body, input and trained of each condition.

    Returns:
        kind, a, b, and what is held fixed. Kind `body` compares the pretrained body (a) with a random one (b); kind
        `trained` compares training a part (a) with training everything (b). Bodies come first.
    """
    found = []
    for (a, left), (b, right) in itertools.permutations(conditions.items(), 2):
        if left["input"] != right["input"]:
            continue
        trained = trained_name(left["trained"])
        if (left["body"], right["body"]) == ("pretrained", "random") and trained == trained_name(right["trained"]):
            found.append(("body", a, b, f"input {left['input']}, trained {trained}"))
        if left["body"] == right["body"] and trained != "all" and trained_name(right["trained"]) == "all":
            found.append(("trained", a, b, f"body {body_name(left['body'])}, input {left['input']}"))
    return sorted(found, key=lambda pair: pair[0])


def compare_conditions(spec: dict[str, Any], scores: dict[tuple[str, str, str], Scores]) -> pd.DataFrame:
    """Compare all pairs of conditions of every task and checkpoint.

    Args:
        spec: the study's spec.
        scores: of each cell, by task, checkpoint and condition.

    Returns:
        One row per comparison: the mean difference a - b of test scores, its interval, the two-sided p-value, and that
        value after Holm's correction (Holm 1979) within the study and the kind of comparison. While runs are missing,
        two cells are compared on the seeds that both have.

    Raises:
        UserError: two cells were not scored on the same items.
    """
    rows = []
    for kind, a, b, held in pairs(spec["conditions"]):
        for checkpoint, task in itertools.product(spec["checkpoints"], spec["tasks"]):
            left, right = scores.get((task, checkpoint, a)), scores.get((task, checkpoint, b))
            if left and right and (common := tuple(seed for seed in left.seeds if seed in right.seeds)):
                left, right = left.of_seeds(common), right.of_seeds(common)
                labels = {"task": task, "checkpoint": checkpoint, "kind": kind, "a": a, "b": b, "held": held}
                rows.append(
                    {
                        "study": spec["study"],
                        **labels,
                        **_compare(left, right, spec["confidence"], lowest_score(spec, task)),
                    }
                )
    table = pd.DataFrame(rows, columns=COLUMNS)
    for index in table.groupby("kind").groups.values():
        table.loc[index, "p_holm"] = multipletests(table.loc[index, "p"].to_numpy(float), method="holm")[1]
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
