"""Steps until a threshold is reached, for runs that may end before they reach it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from crossover.specs.studies import StudySpec
from crossover.statistics.contrasts import Scope, holm_adjusted
from crossover.statistics.pairs import comparable_pairs
from crossover.statistics.tables import table_of

CELL = ["task", "checkpoint", "condition"]  # the columns that name a cell
SPEED_COLUMNS = [
    *("study", "checkpoint", "question", "a", "b", "held", "tasks", "runs", "earlier", "later", "tied", "chi2", "p"),
    "p_holm",
]


@dataclass(frozen=True)
class MedianSteps:
    """How soon the seeds of a cell reached their task's threshold.

    Attributes:
        task: of the cell.
        checkpoint: of the cell.
        condition: of the cell.
        threshold: a validation score; NaN for a task that nothing has learned.
        reached: number of seeds that reached it; None without a threshold.
        median_steps: the first step at which more than half of the seeds are estimated to have reached it; NaN if never.
    """

    task: str
    checkpoint: str
    condition: str
    threshold: float
    reached: int | None
    median_steps: float


@dataclass(frozen=True)
class SpeedDifference:
    """Which of two bodies reached the thresholds sooner.

    Attributes:
        tasks: number of tasks with a threshold.
        runs: number of runs.
        earlier: pairs of runs with one task and seed of which the first condition's reached the threshold sooner.
        later: pairs of which the second condition's did.
        tied: pairs of which neither did.
        chi2: of the log-rank test; NaN where there is no order to test.
        p: its p-value.
    """

    tasks: int
    runs: int
    earlier: int
    later: int
    tied: int
    chi2: float
    p: float


def thresholds(runs: pd.DataFrame, cells: pd.DataFrame, share: float) -> pd.Series:
    """Return the validation score that counts as having learned a task, the same for all of its cells.

    It lies `share` of the way from the floor to the best mean validation score of any cell. A task on which no cell is
    above the floor on the test split has none: 90 % of noise is not a level that anything converges to.

    Args:
        runs: the table of runs.
        cells: the cells with `above_floor`.
        share: such as 0.9.

    Returns:
        float by task; null for a task that nothing has learned.
    """
    best = runs.groupby(CELL)["validation_score"].mean().groupby("task").max()
    floor = cells.groupby("task")["floor"].first()
    learned = cells.groupby("task")["above_floor"].any() & (best > floor)
    return (floor + share * (best - floor)).where(learned).rename("threshold")


def steps_to_threshold(runs: pd.DataFrame, curves: pd.DataFrame, threshold: pd.Series) -> pd.DataFrame:
    """Return for each run the first evaluated step with at least the threshold's validation score.

    Args:
        runs: the table of runs.
        curves: step, split and score of their evaluations.
        threshold: by task.

    Returns:
        One row per run and seed: the threshold, `steps` (null when it was not reached), `censored` (not reached; null
        without a threshold), `steps_run`, and `followed`: until when the run is known not to have reached it. A run
        that stopped early had ceased to improve, so that it is followed as long as the longest run of its task: to
        censor it when it stopped would make the failures that give up soonest count least.
    """
    labels = [
        column for column in runs.columns if column in ("study", *CELL, "body", "input", "trained", "run", "seed")
    ]
    table = runs[[*labels, "stopped_early"]].assign(
        threshold=runs["task"].map(threshold).to_numpy(float), steps_run=runs["steps"]
    )
    evaluations = curves[curves["split"] == "validation"].merge(table[["run", "seed", "threshold"]], on=["run", "seed"])
    reached = evaluations[evaluations["score"] >= evaluations["threshold"]].groupby(["run", "seed"])["step"].min()
    index = pd.MultiIndex.from_frame(table[["run", "seed"]])
    table["steps"] = reached.reindex(index).astype("Int64").array
    table["censored"] = table["steps"].isna().astype("boolean").mask(table["threshold"].isna())
    longest = table.groupby("task")["steps_run"].transform("max")
    table["followed"] = (
        table["steps"].fillna(table["steps_run"].where(~table["stopped_early"], longest)).astype("int64")
    )
    return table[[*labels, "threshold", "steps", "censored", "steps_run", "followed"]]


def median_steps(convergence: pd.DataFrame) -> pd.DataFrame:
    """Return how many seeds of each cell reached the threshold, and the Kaplan-Meier median of their steps.

    Args:
        convergence: from `steps_to_threshold`.

    Returns:
        The columns of `MedianSteps`, one row per cell.
    """
    rows = [
        (_median_steps(task, checkpoint, condition, runs),)
        for (task, checkpoint, condition), runs in convergence.groupby(CELL, sort=False)
    ]
    return table_of(rows).astype({"reached": "Int64"})


def _median_steps(task: str, checkpoint: str, condition: str, runs: pd.DataFrame) -> MedianSteps:
    threshold = float(runs["threshold"].iloc[0])
    if np.isnan(threshold):
        return MedianSteps(task, checkpoint, condition, threshold, None, np.nan)
    event = ~runs["censored"].astype(bool)
    median = float(SurvfuncRight(runs["followed"], event.astype(int)).quantile(0.5))
    return MedianSteps(task, checkpoint, condition, threshold, int(event.sum()), median)


def compare_speed(spec: StudySpec, convergence: pd.DataFrame) -> pd.DataFrame:
    """Compare how soon two bodies reach the thresholds, over all tasks together.

    Args:
        spec: the study.
        convergence: from `steps_to_threshold`, of the cells that are compared.

    Returns:
        One row per checkpoint and pair of bodies: how many runs with the same task and seed reached the threshold
        `earlier` under a than under b, `later`, or neither (`tied`), and the log-rank test stratified by task (Mantel
        1966), with Holm's correction over the rows that ask the same question. Where no run reached a threshold, or all at once, p is null.
    """
    rows, seen = [], set()  # conditions that are one model under two names are compared once
    cells = {cell.key: cell for cell in spec.cells}
    keys = list(convergence[CELL].itertuples(index=False, name=None))
    own = [cells[key].own_training if key in cells else None for key in keys]
    usable = convergence.assign(
        computed=[cells[key].run if key in cells else ".".join(key) for key in keys],
        own_training=pd.array(own, dtype="Int64").fillna(-1),
    )[convergence["threshold"].notna()]
    for checkpoint in spec.checkpoints:
        for pair in comparable_pairs(spec.conditions):
            both = usable[(usable["checkpoint"] == checkpoint) & usable["condition"].isin([pair.a, pair.b])]
            alike = both.groupby(["task", "seed", "own_training"])["condition"].transform("size") == 2
            both = both[alike]  # where one is missing yet, or was trained in another way, there is nothing to compare
            runs = pair.question, *sorted(set(both["computed"]))
            if pair.kind == "body" and len(both) and runs not in seen:
                seen.add(runs)
                rows.append((Scope(spec.study, checkpoint, checkpoint), pair, _compare_speed(both, pair.a, pair.b)))
    table = table_of(rows, SPEED_COLUMNS)
    table["p_holm"] = holm_adjusted(table)
    return table.astype({"chi2": float, "p": float, "p_holm": float})


def _compare_speed(both: pd.DataFrame, a: str, b: str) -> SpeedDifference:
    # A run that never arrives is later than any that does.
    steps = both.assign(steps=both["steps"].astype(float).fillna(np.inf))
    wide = steps.pivot(index=["task", "seed"], columns="condition", values="steps").dropna()
    earlier, later = int((wide[a] < wide[b]).sum()), int((wide[a] > wide[b]).sum())
    event = (~both["censored"].astype(bool)).astype(int)
    condition, task = both["condition"].to_numpy(str), both["task"].to_numpy(str)
    try:
        chi2, p = survdiff(both["followed"], event, condition, strata=task) if event.any() else (np.nan, np.nan)
    except np.linalg.LinAlgError:  # at each event all runs that were left arrived together: no order to test
        chi2, p = np.nan, np.nan
    return SpeedDifference(
        tasks=both["task"].nunique(),
        runs=len(both),
        earlier=earlier,
        later=later,
        tied=len(wide) - earlier - later,
        chi2=float(chi2),
        p=float(p),
    )
