"""Steps until a threshold is reached, for runs that may end before they reach it."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from crossover.statistics.contrasts import holm, pairs

KEY = ["task", "checkpoint", "condition"]


def thresholds(runs: pd.DataFrame, cells: pd.DataFrame, share: float) -> pd.Series:
    """The validation score that counts as having learned a task, the same for all of its cells.

    It lies `share` of the way from the floor to the best mean validation score of any cell. A task on which no cell is
    above the floor on the test split has none: 90 % of noise is not a level that anything converges to.

    Args:
        runs: the final runs.
        cells: the cells with `above_floor`.
        share: such as 0.9.

    Returns:
        float by task; null for a task that nothing has learned.
    """
    best = runs.groupby(KEY)["validation_score"].mean().groupby("task").max()
    floor = cells.groupby("task")["floor"].first()
    learned = cells.groupby("task")["above_floor"].any() & (best > floor)
    return (floor + share * (best - floor)).where(learned).rename("threshold")


def steps_to_threshold(runs: pd.DataFrame, curves: pd.DataFrame, threshold: pd.Series) -> pd.DataFrame:
    """For each final run the first evaluated step with at least the threshold's validation score.

    Args:
        runs: the final runs.
        curves: step, split and score of their evaluations.
        threshold: by task.

    Returns:
        One row per run and seed: the threshold, `steps` (null when it was not reached), `censored` (not reached; null
        without a threshold), `steps_run`, and `followed`: until when the run is known not to have reached it. A run
        that stopped early had ceased to improve, so that it is followed as long as the longest run of its task: to
        censor it when it stopped would make the failures that give up soonest count least.
    """
    labels = [column for column in runs.columns if column in ("study", *KEY, "body", "input", "trained", "run", "seed")]
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
    """How many seeds of a cell reached the threshold, and the Kaplan-Meier median of their steps.

    Returns:
        Columns task, checkpoint, condition, threshold, reached (seeds; null without a threshold), and median_steps: the
        first step at which more than half of the seeds are estimated to have reached it, null if that never happens.
    """
    rows = []
    for key, cell in convergence.groupby(KEY, sort=False):
        threshold = cell["threshold"].iloc[0]
        row = {**dict(zip(KEY, key, strict=True)), "threshold": threshold, "reached": pd.NA, "median_steps": np.nan}
        if not np.isnan(threshold):
            event = ~cell["censored"].astype(bool)
            row["reached"] = int(event.sum())
            row["median_steps"] = float(SurvfuncRight(cell["followed"], event.astype(int)).quantile(0.5))
        rows.append(row)
    return pd.DataFrame(rows).astype({"reached": "Int64"})


def compare_speed(spec: dict[str, Any], convergence: pd.DataFrame) -> pd.DataFrame:
    """Does one body reach the threshold sooner than the other, over all tasks together?

    Args:
        spec: the study's spec.
        convergence: from `steps_to_threshold`.

    Returns:
        One row per checkpoint and pair of bodies: how many runs with the same task and seed reached the threshold
        `earlier` under a than under b, `later`, or neither (`tied`), and the log-rank test stratified by task (Mantel
        1966), with Holm's correction over the rows that ask the same question. Where no run reached a threshold, or all at once, p is null.
    """
    rows = []
    usable = convergence[convergence["threshold"].notna()]
    for checkpoint in spec["checkpoints"]:
        for pair in pairs(spec["conditions"]):
            both = usable[(usable["checkpoint"] == checkpoint) & usable["condition"].isin([pair.a, pair.b])]
            both = both[both.groupby(["task", "seed"])["condition"].transform("size") == 2]  # else one is missing yet
            if pair.kind == "body" and len(both):
                labels = {"study": spec["study"], "checkpoint": checkpoint, **asdict(pair)}
                rows.append(labels | _compare_speed(both, pair.a, pair.b))
    columns = [
        "study",
        "checkpoint",
        "question",
        "a",
        "b",
        "held",
        "tasks",
        "runs",
        "earlier",
        "later",
        "tied",
        "chi2",
        "p",
        "p_holm",
    ]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = holm(table)
    return table.astype({"chi2": float, "p": float, "p_holm": float})


def _compare_speed(both: pd.DataFrame, a: str, b: str) -> dict[str, Any]:
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
    return {
        "tasks": both["task"].nunique(),
        "runs": len(both),
        "earlier": earlier,
        "later": later,
        "tied": len(wide) - earlier - later,
        "chi2": float(chi2),
        "p": float(p),
    }
