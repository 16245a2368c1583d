"""Gather the runs of a study into tidy tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from crossover.errors import UserError
from crossover.labels import body_name, input_name, trained_name
from crossover.metrics import METRICS
from crossover.runs.files import checked_provenance, read_metrics, run_folder
from crossover.specs.descriptions import Metrics, Provenance
from crossover.specs.runs import RateSelection
from crossover.specs.studies import Cell, Member, StudySpec
from crossover.statistics.contrasts import compare_conditions
from crossover.statistics.convergence import CELL, compare_speed, median_steps, steps_to_threshold, thresholds
from crossover.statistics.intervals import score_interval
from crossover.statistics.pooled import pool_differences
from crossover.statistics.records import read_curve, read_scores
from crossover.statistics.scored import ScoredStudy, score_study
from crossover.statistics.tables import StudyTables, table_of

# The fields of a provenance that differ from one computation to the next: only the table of costs has them.
COSTS = "seconds cpu_seconds peak_memory_mb host device threads started ended resumed slurm_job_id".split()


@dataclass(frozen=True)
class CellLabels:
    """The columns that say which cell a row is about."""

    study: str
    task: str
    checkpoint: str
    condition: str
    body: str
    input: str
    trained: str


@dataclass(frozen=True)
class RunResult:
    """The columns of the table of runs that say what a run was and what it reached; no test score while rates are tried."""

    role: str
    run: str
    seed: int
    train_items: int
    learning_rate: float
    validation_score: float
    test_score: float | None
    floor: float
    steps: int
    best_step: int
    stopped_early: bool
    parameters_trained: int
    parameters_used: int
    parameters_total: int
    path: str


@dataclass(frozen=True)
class CellResult:
    """The columns of the table of cells that say how a cell was computed and what it reached.

    Attributes:
        run: the final run.
        train_items: number of training items of each seed.
        learning_rate: of all its seeds.
        metric: of the score.
        seeds: number of seeds.
        seeds_constant: number of those that give one answer to all items.
        seeds_at_floor: number of further ones whose score is not shown to be above the floor.
        did_train: whether there are others; else the cell is not compared.
        score: mean over seeds and items.
        sd_seeds: standard deviation of the seeds' scores; NaN for one seed.
        low: lower limit of the interval.
        high: upper limit of the interval.
        interval_over: the random factors of the interval.
        interval_method: how it was computed.
        floor: score of the best constant answer.
        above_floor: whether the lower limit is above the floor.
        items: number of test items.
        groups: number of independent test items.
        parameters_trained: parameters that received gradients.
        parameters_used: those without the position embeddings that no item reaches, as papers count them.
        parameters_total: all parameters.
    """

    run: str
    train_items: int
    learning_rate: float
    metric: str
    seeds: int
    seeds_constant: int
    seeds_at_floor: int
    did_train: bool
    score: float
    sd_seeds: float
    low: float
    high: float
    interval_over: str
    interval_method: str
    floor: float
    above_floor: bool
    items: int
    groups: int
    parameters_trained: int
    parameters_used: int
    parameters_total: int


@dataclass(frozen=True)
class Computation:
    """The columns of the table of costs that name a computation.

    Attributes:
        study: its study.
        task: of a run; None for pretraining.
        checkpoint: of a run, or the one that was pretrained.
        condition: of a run; None for pretraining.
        role: `sweep`, `final` or `pretraining`.
        run: the name of the run or of the checkpoint.
        seed: of a run; None for pretraining.
        path: the folder of its files.
    """

    study: str
    task: str | None
    checkpoint: str
    condition: str | None
    role: str
    run: str
    seed: int | None
    path: str


def aggregate_study(spec: StudySpec, folder: Path) -> None:
    """Write runs, cells, contrasts, pooled, convergence, speed and costs as .parquet and .csv, and curves as .parquet.

    Equal results give equal bytes, whatever they cost; only the table of costs tells one computation from another.

    Args:
        spec: the study.
        folder: results/studies/<study>/.

    Raises:
        UserError: a run's file is missing or damaged, or runs that are compared do not belong together.
    """
    cells = tuple(cell.with_tried_rates() for cell in spec.cells)
    make_tables(spec.model_copy(update={"cells": cells})).write(folder)


def make_tables(spec: StudySpec) -> StudyTables:
    """Compute the tables of a study; the sweep of each cell holds the runs that tried its rates.

    Raises:
        UserError: a run's file is missing or damaged, or runs that are compared do not belong together.
    """
    # Each file of each run is checked once, before any is read.
    provenance = {
        (member.run, member.seed): checked_provenance(run_folder(member.run, member.seed))
        for cell in spec.cells
        for member in cell.members
    }
    runs = gather_runs(spec)
    final = runs[runs["role"] == "final"]
    scores = {cell.key: read_scores(cell.run, cell.seeds) for cell in spec.cells}
    study = score_study(spec, scores, final.groupby("run")["floor"].first().to_dict())
    curves = gather_curves(runs)
    cells = summarise_cells(spec, study, final)
    contrasts = compare_conditions(spec, study)
    trained = set(cells.loc[cells["did_train"], "run"])
    convergence = steps_to_threshold(final, curves, thresholds(final, cells, spec.threshold))
    return StudyTables(
        runs=runs,
        cells=cells.merge(median_steps(convergence), on=CELL, how="left", validate="one_to_one"),
        contrasts=contrasts,
        pooled=pool_differences(spec, contrasts),
        convergence=convergence,
        speed=compare_speed(spec, convergence[convergence["run"].isin(trained)]),
        curves=curves,
        costs=gather_costs(spec, provenance),
    )


def _labels(spec: StudySpec, cell: Cell) -> CellLabels:
    condition = spec.conditions[cell.condition]
    return CellLabels(
        study=spec.study,
        task=cell.task,
        checkpoint=cell.checkpoint,
        condition=cell.condition,
        body=body_name(condition.body),
        input=input_name(condition.input),
        trained=trained_name(condition.trained),
    )


def gather_runs(spec: StudySpec) -> pd.DataFrame:
    """Return one row per run and seed, those that try learning rates included: what it was, and what it reached."""
    rows, tested = [], []
    for cell in spec.cells:
        for member in cell.members:
            metrics = read_metrics(run_folder(member.run, member.seed))
            rows.append((_labels(spec, cell), _run_result(member, metrics)))
            tested.append(metrics.test.metrics if metrics.test else {})
    table = table_of(rows).astype({"test_score": float})
    for name in reversed(METRICS):
        scores = pd.Series([metrics.get(name) for metrics in tested], dtype=float)
        table.insert(table.columns.get_loc("test_score") + 1, f"test_{name}", scores)
    return table


def _run_result(member: Member, metrics: Metrics) -> RunResult:
    return RunResult(
        role=member.role,
        run=member.run,
        seed=member.seed,
        train_items=metrics.train_items,
        learning_rate=metrics.learning_rate,
        validation_score=metrics.validation.score,
        test_score=metrics.test.score if metrics.test else None,
        floor=metrics.floor,
        steps=metrics.steps,
        best_step=metrics.best_step,
        stopped_early=metrics.stopped_early,
        parameters_trained=metrics.parameters.trained,
        parameters_used=metrics.parameters.used,
        parameters_total=metrics.parameters.total,
        path=run_folder(member.run, member.seed).as_posix(),
    )


def gather_costs(spec: StudySpec, provenance: Mapping[tuple[str, int], Provenance]) -> pd.DataFrame:
    """Return one row per run and seed, and one per checkpoint that was pretrained here.

    Args:
        spec: the study.
        provenance: by run and seed.

    Returns:
        The columns of `Computation`, and `COSTS`: `seconds`, `cpu_seconds` and `peak_memory_mb` of the last uninterrupted
        part, and where and when that was.

    Raises:
        UserError: the provenance of a checkpoint is missing, or is not as it was written.
    """
    rows = []
    for name, checkpoint in spec.checkpoints.items():
        if checkpoint.pretraining:
            folder = Path(checkpoint.folder)
            made = Computation(spec.study, None, name, None, "pretraining", folder.name, None, folder.as_posix())
            rows.append((made, Provenance.load(folder / "provenance.json")))
    seen = set()  # equal models under two names of conditions are computed once
    for cell in spec.cells:
        for role, run, seed in cell.members:
            if (run, seed) not in seen:
                seen.add((run, seed))
                folder = run_folder(run, seed)
                computation = Computation(spec.study, *cell.key, role, run, seed, folder.as_posix())
                rows.append((computation, provenance[run, seed]))
    table = table_of(rows, ["study", *CELL, "role", "run", "seed", *COSTS, "path"])
    return table.astype({"seed": "Int64", "slurm_job_id": "string"})


def gather_curves(runs: pd.DataFrame) -> pd.DataFrame:
    """Return every evaluation of every run: columns of the run, and step, split, loss (nats), score (null for train)."""
    columns = ["study", *CELL, "role", "run", "seed", "learning_rate"]
    curves = [read_curve(run, seed) for run, seed in zip(runs["run"], runs["seed"], strict=True)]
    labels = runs[columns].loc[runs.index.repeat(list(map(len, curves)))]
    return pd.concat([labels.reset_index(drop=True), pd.concat(curves, ignore_index=True)], axis=1)


def summarise_cells(spec: StudySpec, study: ScoredStudy, final: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell: the mean test score of its seeds, with an interval over seeds and independent test items.

    Args:
        spec: the study.
        study: its scores.
        final: the table of final runs.
    """
    rows = [
        (_labels(spec, cell), _cell_result(spec, cell, study, final[final["run"] == cell.run])) for cell in spec.cells
    ]
    return table_of(rows).astype({"sd_seeds": float})


def _cell_result(spec: StudySpec, cell: Cell, study: ScoredStudy, runs: pd.DataFrame) -> CellResult:
    scored, estimate = study.cells[cell.key], study.mean(cell.key)
    interval = score_interval(estimate, spec.confidence, study.lowest(cell.task))
    floor = float(runs["floor"].iloc[0])
    return CellResult(
        run=cell.run,
        train_items=int(runs["train_items"].iloc[0]),
        learning_rate=_selected_rate(cell, runs),
        metric=spec.tasks[cell.task].metric,
        seeds=scored.crossed.seeds,
        seeds_constant=scored.failures.count("one constant answer"),
        seeds_at_floor=scored.failures.count("at the floor"),
        did_train=scored.did_train,
        score=estimate.value,
        sd_seeds=scored.crossed.seed_variance**0.5,
        low=interval.low,
        high=interval.high,
        interval_over="seeds and items" if scored.crossed.seeds > 1 else "items",
        interval_method=interval.method,
        floor=floor,
        above_floor=interval.low > floor,
        items=len(scored.scores.items),
        groups=estimate.groups,
        parameters_trained=int(runs["parameters_trained"].iloc[0]),
        parameters_used=int(runs["parameters_used"].iloc[0]),
        parameters_total=int(runs["parameters_total"].iloc[0]),
    )


def _selected_rate(cell: Cell, runs: pd.DataFrame) -> float:
    """Return the learning rate that all seeds of a cell were trained with.

    Raises:
        UserError: they were not trained with the one that is selected.
    """
    used = set(runs["learning_rate"])
    selected = {RateSelection.load(Path(cell.rate)).learning_rate} if cell.rate else used
    if len(used) > 1 or used != selected:
        raise UserError(
            f"run {cell.run} was trained with the learning rate {', '.join(map(str, sorted(used)))}, but "
            f"{', '.join(map(str, sorted(selected)))} is selected; delete results/runs/{cell.run} and run snakemake again."
        )
    return float(used.pop())
