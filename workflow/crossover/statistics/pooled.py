"""One number over all tasks: the mean difference of two conditions, and how much the tasks differ in it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from crossover.specs.studies import StudySpec
from crossover.statistics.contrasts import Scope
from crossover.statistics.pairs import ConditionPair
from crossover.statistics.tables import table_of

FEWEST_TASKS = 3  # two tell nothing of how much tasks differ
SET = ["checkpoint", "other_checkpoint", "kind", "question", "a", "b", "held", "metric", "train_items"]
COLUMNS = ["study", *SET, *("tasks", "difference", "low", "high", "i2", "tau", "new_task_low", "new_task_high")]


@dataclass(frozen=True)
class TaskSet:
    """The tasks that are pooled: those with one metric, and with one number of training items where that was set."""

    metric: str
    train_items: int | None


@dataclass(frozen=True)
class PooledDifference:
    """The mean of a difference over tasks, in a random-effects model.

    Attributes:
        tasks: number of tasks.
        difference: mean of a - b over tasks like these.
        low: lower limit of its interval.
        high: upper limit.
        i2: share of the differences' variance that is not chance, but a difference of the tasks (Higgins' I²).
        tau: standard deviation of the tasks' true differences.
        new_task_low: lower limit of the interval for the true difference on another task like these.
        new_task_high: upper limit.
    """

    tasks: int
    difference: float
    low: float
    high: float
    i2: float
    tau: float
    new_task_low: float
    new_task_high: float


def pool_differences(spec: StudySpec, contrasts: pd.DataFrame) -> pd.DataFrame:
    """Pool each comparison over the tasks that have it with several seeds, where there are at least `FEWEST_TASKS`.

    Args:
        spec: the study.
        contrasts: from `compare_conditions`.

    Returns:
        One row per comparison, metric and set number of training items: the columns of `TaskSet` and `PooledDifference`.
    """
    tested = contrasts[contrasts["p"].notna()]
    tested = tested.assign(
        metric=[spec.tasks[task].metric for task in tested["task"]],
        train_items=pd.array([spec.tasks[task].train_items for task in tested["task"]], dtype="Int64"),
    )
    rows = []
    for (*sides, metric, items), table in tested.groupby(SET, sort=False, dropna=False):
        if len(table) >= FEWEST_TASKS:
            checkpoint, other, *pair = sides
            tasks = TaskSet(metric, None if pd.isna(items) else int(items))
            pooled = pool(table["difference"].to_numpy(), table["standard_error"].to_numpy(), spec.confidence)
            rows.append((Scope(spec.study, checkpoint, other), ConditionPair(*pair), tasks, pooled))
    return table_of(rows, COLUMNS).astype({"train_items": "Int64"})


def pool(differences: np.ndarray, errors: np.ndarray, confidence: float) -> PooledDifference:
    """Estimate the mean of differences that are each known with an error.

    The variance between tasks is Paule and Mandel's. The interval of the mean is Hartung and Knapp's (2001, Statistics in
    Medicine 20:3875-3889), never narrower than without their correction, and that of a new task Higgins, Thompson and
    Spiegelhalter's (2009, J. Royal Statistical Society A 172:137-159).

    Args:
        differences: float [tasks].
        errors: their standard errors, float [tasks].
        confidence: such as 0.95.
    """
    tasks = len(differences)
    with np.errstate(divide="ignore"):  # equal differences, which I² divides by
        model = combine_effects(differences, errors**2, method_re="iterated")
    mean, tau2 = float(model.mean_effect_re), max(float(model.tau2), 0.0)
    error2 = max(float(model.var_hksj_re), float(model.var_eff_w_re))
    half = stats.t.ppf((1 + confidence) / 2, tasks - 1) * np.sqrt(error2)
    reach = stats.t.ppf((1 + confidence) / 2, tasks - 2) * np.sqrt(tau2 + error2)
    return PooledDifference(
        tasks=tasks,
        difference=mean,
        low=mean - half,
        high=mean + half,
        i2=max(float(model.i2), 0.0),
        tau=float(np.sqrt(tau2)),
        new_task_low=mean - reach,
        new_task_high=mean + reach,
    )
