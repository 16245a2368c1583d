"""Gather the runs of a study into tidy tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from crossover.labels import body_name, input_name, trained_name
from crossover.metrics import METRICS
from crossover.runs.files import baseline_folder, checked_provenance, read_metrics, run_folder
from crossover.specs.descriptions import Metrics, Provenance, Trial
from crossover.specs.studies import Cell, StudySpec
from crossover.statistics.baselines import (
    compare_with_baselines,
    provenance_of_baselines,
    read_baselines,
    summarise_baselines,
)
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
    """The columns of the table of runs that say what a run was and what it reached at the learning rate that was selected."""

    run: str
    seed: int
    train_items: int
    learning_rate: float
    validation_score: float
    test_score: float
    floor: float
    steps: int
    best_step: int
    stopped_early: bool
    parameters_trained: int
    parameters_used: int
    parameters_total: int
    path: str


@dataclass(frozen=True)
class RateResult:
    """The columns of the table of rates that say what a run reached on validation data at one learning rate."""

    run: str
    seed: int
    learning_rate: float
    validation_score: float
    validation_loss: float
    steps: int
    best_step: int
    stopped_early: bool
    selected: bool


@dataclass(frozen=True)
class CellResult:
    """The columns of the table of cells that say how a cell was computed and what it reached.

    Attributes:
        run: its run.
        train_items: number of training items of each seed.
        learning_rate: that most seeds selected; of equally many the lowest.
        seeds_with_rate: how many seeds selected it.
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
    seeds_with_rate: int
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
        task: of a run or a baseline; None for pretraining.
        checkpoint: of a run, or the one that was pretrained; None for a baseline.
        condition: of a run; None for what is not one.
        role: `run`, `baseline` or `pretraining`.
        run: the name of the run, the baseline or the checkpoint.
        seed: of a run or a baseline; None for pretraining.
        path: the folder of its files.
    """

    study: str
    task: str | None
    checkpoint: str | None
    condition: str | None
    role: str
    run: str
    seed: int | None
    path: str


def aggregate_study(spec: StudySpec, folder: Path) -> None:
    """Write runs, rates, cells, contrasts, pooled differences, baselines, their comparisons, convergence, speed and costs as .parquet and .csv, and curves as .parquet.

    Equal results give equal bytes, whatever they cost; only the table of costs tells one computation from another.

    Args:
        spec: the study.
        folder: results/studies/<study>/.

    Raises:
        UserError: a run's file is missing or damaged, or runs that are compared do not belong together.
    """
    make_tables(spec).write(folder)


def make_tables(spec: StudySpec) -> StudyTables:
    """Compute the tables of a study.

    Raises:
        UserError: a run's file is missing or damaged, or runs that are compared do not belong together.
    """
    # Each file of each run is checked once, before any is read.
    provenance = {run: checked_provenance(run_folder(*run)) for run in spec.runs}
    fitted = provenance_of_baselines(spec)
    metrics = {run: read_metrics(run_folder(*run)) for run in spec.runs}
    scores = {cell.key: read_scores(cell.run, cell.seeds) for cell in spec.cells}
    baselines = read_baselines(spec)
    runs = gather_runs(spec, metrics)
    study = score_study(spec, scores, runs.groupby("run")["floor"].first().to_dict())
    curves = gather_curves(runs)
    cells = summarise_cells(spec, study, runs)
    contrasts = compare_conditions(spec, study)
    trained = set(cells.loc[cells["did_train"], "run"])
    convergence = steps_to_threshold(runs, curves, thresholds(runs, cells, spec.threshold))
    return StudyTables(
        runs=runs,
        rates=gather_rates(spec, metrics),
        cells=cells.merge(median_steps(convergence), on=CELL, how="left", validate="one_to_one"),
        contrasts=contrasts,
        pooled=pool_differences(spec, contrasts),
        baselines=summarise_baselines(spec, study, baselines),
        baseline_contrasts=compare_with_baselines(spec, study, baselines),
        convergence=convergence,
        speed=compare_speed(spec, convergence[convergence["run"].isin(trained)]),
        curves=curves,
        costs=gather_costs(spec, provenance, fitted),
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


Results = Mapping[tuple[str, int], Metrics]  # by run and seed


def gather_runs(spec: StudySpec, metrics: Results) -> pd.DataFrame:
    """Return one row per run and seed: what it was, and what it reached."""
    computed = [(cell, metrics[run]) for cell in spec.cells for run in cell.runs]
    table = table_of([(_labels(spec, cell), _run_result(one)) for cell, one in computed])
    for name in reversed(METRICS):
        scores = pd.Series([one.test.metrics.get(name) for _, one in computed], dtype=float)
        table.insert(table.columns.get_loc("test_score") + 1, f"test_{name}", scores)
    return table


def _run_result(metrics: Metrics) -> RunResult:
    selected = metrics.selected
    return RunResult(
        run=metrics.run,
        seed=metrics.seed,
        train_items=metrics.train_items,
        learning_rate=selected.learning_rate,
        validation_score=selected.validation.score,
        test_score=metrics.test.score,
        floor=metrics.floor,
        steps=selected.steps,
        best_step=selected.best_step,
        stopped_early=selected.stopped_early,
        parameters_trained=metrics.parameters.trained,
        parameters_used=metrics.parameters.used,
        parameters_total=metrics.parameters.total,
        path=run_folder(metrics.run, metrics.seed).as_posix(),
    )


def gather_rates(spec: StudySpec, metrics: Results) -> pd.DataFrame:
    """Return one row per run, seed and learning rate: what it reached on validation data, and whether it was selected."""
    return table_of(
        [
            (_labels(spec, cell), _rate_result(metrics[run], trial))
            for cell in spec.cells
            for run in cell.runs
            for trial in metrics[run].trials
        ]
    )


def _rate_result(metrics: Metrics, trial: Trial) -> RateResult:
    return RateResult(
        run=metrics.run,
        seed=metrics.seed,
        learning_rate=trial.learning_rate,
        validation_score=trial.validation.score,
        validation_loss=trial.validation.loss,
        steps=trial.steps,
        best_step=trial.best_step,
        stopped_early=trial.stopped_early,
        selected=trial.learning_rate == metrics.selected.learning_rate,
    )


def gather_costs(
    spec: StudySpec,
    provenance: Mapping[tuple[str, int], Provenance],
    fitted: Mapping[tuple[str, int], Provenance],
) -> pd.DataFrame:
    """Return one row per run and seed, per baseline and seed, and per checkpoint that was pretrained here.

    Args:
        spec: the study.
        provenance: of runs, by run and seed.
        fitted: of baselines, by task and seed.

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
        for run, seed in cell.runs:
            if (run, seed) not in seen:
                seen.add((run, seed))
                folder = run_folder(run, seed)
                computation = Computation(spec.study, *cell.key, "run", run, seed, folder.as_posix())
                rows.append((computation, provenance[run, seed]))
    for (task, seed), one in fitted.items():
        name = spec.baselines[task].name
        folder = baseline_folder(name, seed)
        made = Computation(spec.study, task, None, None, "baseline", name, seed, folder.as_posix())
        rows.append((made, one))
    table = table_of(rows, ["study", *CELL, "role", "run", "seed", *COSTS, "path"])
    return table.astype({"seed": "Int64", "slurm_job_id": "string"})


def gather_curves(runs: pd.DataFrame) -> pd.DataFrame:
    """Return every evaluation of every run at its selected rate: columns of the run, and step, split, loss (nats), score (null for train)."""
    columns = ["study", *CELL, "run", "seed", "learning_rate"]
    curves = [read_curve(run, seed) for run, seed in zip(runs["run"], runs["seed"], strict=True)]
    labels = runs[columns].loc[runs.index.repeat(list(map(len, curves)))]
    return pd.concat([labels.reset_index(drop=True), pd.concat(curves, ignore_index=True)], axis=1)


def summarise_cells(spec: StudySpec, study: ScoredStudy, runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell: the mean test score of its seeds, with an interval over seeds and independent test items.

    Args:
        spec: the study.
        study: its scores.
        runs: the table of runs.
    """
    by_cell = dict(tuple(runs.groupby(CELL)))
    rows = [(_labels(spec, cell), _cell_result(spec, cell, study, by_cell[cell.key])) for cell in spec.cells]
    return table_of(rows).astype({"sd_seeds": float})


def _cell_result(spec: StudySpec, cell: Cell, study: ScoredStudy, runs: pd.DataFrame) -> CellResult:
    scored, estimate = study.cells[cell.key], study.mean(cell.key)
    interval = score_interval(estimate, spec.confidence, study.lowest(cell.task))
    floor = float(runs["floor"].iloc[0])
    rate = float(runs["learning_rate"].mode().min())
    return CellResult(
        run=cell.run,
        train_items=int(runs["train_items"].iloc[0]),
        learning_rate=rate,
        seeds_with_rate=int((runs["learning_rate"] == rate).sum()),
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
