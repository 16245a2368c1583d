"""Gather the runs of a study into tidy tables."""

from pathlib import Path
from typing import Any

import pandas as pd

from crossover.config.labels import body_name, input_name, trained_name
from crossover.errors import UserError
from crossover.files import read_sealed_json, write_csv, write_parquet
from crossover.metrics import METRICS
from crossover.runs.files import checked_provenance, run_folder
from crossover.statistics.contrasts import compare_conditions, lowest_score
from crossover.statistics.convergence import KEY, compare_speed, median_steps, steps_to_threshold, thresholds
from crossover.statistics.intervals import crossed_mean, group_means, score_interval
from crossover.statistics.order import in_study_order, members
from crossover.statistics.records import Scores, read_curve, read_metrics, read_scores

Cell = dict[str, Any]
# What differs from one computation to the next: it stands in the table of costs and nowhere else.
COSTS = "seconds cpu_seconds peak_memory_mb host device threads started ended resumed slurm_job_id".split()


def aggregate_study(spec: dict[str, Any], folder: Path) -> None:
    """Write runs, cells, contrasts, convergence, speed and costs as .parquet and .csv, and curves as .parquet.

    Equal results give equal bytes, whatever they cost; only the table of costs tells one computation from another.

    Args:
        spec: the content of results/specs/study-<study>.json.
        folder: results/studies/<study>/.

    Raises:
        UserError: a run's file is missing or damaged, or runs that are compared do not belong together.
    """
    write_tables(make_tables(in_study_order(spec)), folder)


def write_tables(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write each table as .parquet, and as .csv but for the curves, which are long."""
    for name, table in tables.items():
        write_parquet(folder / f"{name}.parquet", table)
        if name != "curves":
            write_csv(folder / f"{name}.csv", table)


def make_tables(spec: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables of a study whose spec names its parts in their order, by name.

    Raises:
        UserError: a run's file is missing or damaged, or runs that are compared do not belong together.
    """
    # Each file of each run is checked once, before any is read.
    provenance = {
        (run, seed): checked_provenance(run_folder(run, seed))
        for cell in spec["cells"]
        for _, run, seed in members(cell)
    }
    scores = {tuple(cell[name] for name in KEY): read_scores(cell["run"], cell["seeds"]) for cell in spec["cells"]}
    runs = gather_runs(spec)
    final = runs[runs["role"] == "final"]
    curves = gather_curves(runs)
    cells = describe_cells(spec, scores, final)
    threshold = thresholds(final, cells, spec["threshold"]["of"])
    convergence = steps_to_threshold(final, curves, threshold)
    return {
        "runs": runs,
        "cells": cells.merge(median_steps(convergence), on=KEY, how="left", validate="one_to_one"),
        "contrasts": compare_conditions(spec, scores),
        "convergence": convergence,
        "speed": compare_speed(spec, convergence),
        "curves": curves,
        "costs": gather_costs(spec, provenance),
    }


def _labels(spec: dict[str, Any], cell: Cell) -> dict[str, Any]:
    condition = spec["conditions"][cell["condition"]]
    return {
        "study": spec["study"],
        **{name: cell[name] for name in KEY},
        "body": body_name(condition["body"]),
        "input": input_name(condition["input"]),
        "trained": trained_name(condition["trained"]),
    }


def gather_runs(spec: dict[str, Any]) -> pd.DataFrame:
    """One row per run and seed, those that selected a rate included: what it was, and what it reached."""
    rows = []
    for cell in spec["cells"]:
        for role, run, seed in members(cell):
            metrics = read_metrics(run, seed)
            rows.append(
                {
                    **_labels(spec, cell),
                    "role": role,
                    "run": run,
                    "seed": seed,
                    "learning_rate": metrics["learning_rate"],
                    "validation_score": metrics["validation"]["score"],
                    "test_score": metrics["test"]["score"] if metrics["test"] else None,
                    **{f"test_{name}": (metrics["test"] or {}).get("metrics", {}).get(name) for name in METRICS},
                    **{name: metrics[name] for name in ("floor", "steps", "best_step", "stopped_early")},
                    "parameters_trained": metrics["parameters"]["trained"],
                    "parameters_total": metrics["parameters"]["total"],
                    "path": run_folder(run, seed).as_posix(),
                }
            )
    return pd.DataFrame(rows).astype(dict.fromkeys(["test_score", *(f"test_{name}" for name in METRICS)], float))


def gather_costs(spec: dict[str, Any], provenance: dict[tuple[str, int], dict[str, Any]]) -> pd.DataFrame:
    """One row per run and seed, and one per checkpoint that was pretrained here, of which task, condition and seed are null.

    Args:
        spec: the study's spec.
        provenance: of each run and seed.

    Returns:
        Labels, role (sweep, final or pretraining), the name of the run or of the checkpoint, `seconds`, `cpu_seconds` and
        `peak_memory_mb` of the last uninterrupted part, where and when that was, and the folder of the files.

    Raises:
        UserError: the provenance of a checkpoint is missing, or is not as it was written.
    """
    rows = []
    for name, checkpoint in spec["checkpoints"].items():
        if checkpoint["pretraining"]:
            folder = Path(checkpoint["folder"])
            labels = {"checkpoint": name, "role": "pretraining", "run": folder.name}
            rows.append({**labels, **_costs(folder, read_sealed_json(folder / "provenance.json"))})
    for cell in spec["cells"]:
        labels = {name: cell[name] for name in KEY}
        for role, run, seed in members(cell):
            own = {**labels, "role": role, "run": run, "seed": seed}
            rows.append({**own, **_costs(run_folder(run, seed), provenance[run, seed])})
    columns = ["study", *KEY, "role", "run", "seed", *COSTS, "path"]
    table = pd.DataFrame(rows, columns=columns).assign(study=spec["study"])
    return table.astype({"seed": "Int64", "slurm_job_id": "string"})


def _costs(folder: Path, provenance: dict[str, Any]) -> dict[str, Any]:
    return {**{name: provenance[name] for name in COSTS}, "path": folder.as_posix()}


def gather_curves(runs: pd.DataFrame) -> pd.DataFrame:
    """Every evaluation of every run: columns of the run, and step, split, loss (nats), score (null for train)."""
    columns = ["study", *KEY, "role", "run", "seed", "learning_rate"]
    parts = []
    for row in runs[columns].to_dict("records"):
        curve = read_curve(row["run"], row["seed"])
        parts.append(curve.assign(**row)[[*columns, *curve.columns]])
    return pd.concat(parts, ignore_index=True)


def describe_cells(spec: dict[str, Any], scores: dict[tuple[str, ...], Scores], final: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: the mean test score of its seeds, with an interval over seeds and independent test items."""
    rows = []
    for cell in spec["cells"]:
        key = tuple(cell[name] for name in KEY)
        runs = final[final["run"] == cell["run"]]
        mean = crossed_mean(group_means(scores[key].values, scores[key].groups))
        interval = score_interval(mean, spec["confidence"], lowest_score(spec, cell["task"]))
        floor = float(runs["floor"].iloc[0])
        rows.append(
            {
                **_labels(spec, cell),
                "run": cell["run"],
                "learning_rate": _selected_rate(cell, runs),
                "metric": spec["tasks"][cell["task"]]["metric"],
                "seeds": mean.seeds,
                "score": mean.value,
                "sd_seeds": scores[key].values.mean(axis=1).std(ddof=1) if mean.seeds > 1 else None,
                "low": interval.low,
                "high": interval.high,
                "interval_over": "seeds and items" if mean.seeds > 1 else "items",
                "interval_method": interval.method,
                "floor": floor,
                "above_floor": interval.low > floor,
                "items": len(scores[key].items),
                "groups": mean.groups,
                "parameters_trained": int(runs["parameters_trained"].iloc[0]),
                "parameters_total": int(runs["parameters_total"].iloc[0]),
            }
        )
    return pd.DataFrame(rows).astype({"sd_seeds": float})


def _selected_rate(cell: Cell, runs: pd.DataFrame) -> float:
    """The rate that all seeds of a cell were trained with.

    Raises:
        UserError: they were not trained with the one that was selected.
    """
    used = set(runs["learning_rate"])
    wanted = {read_sealed_json(cell["rate"])["learning_rate"]} if cell["rate"] else used
    if len(used) > 1 or used != wanted:
        raise UserError(
            f"run {cell['run']} was trained with the learning rate {', '.join(map(str, sorted(used)))}, but "
            f"{', '.join(map(str, sorted(wanted)))} is selected; delete results/runs/{cell['run']} and run snakemake again."
        )
    return float(used.pop())
