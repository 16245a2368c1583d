"""The learning rate of a cell, selected on validation data alone."""

from pathlib import Path
from statistics import fmean

from crossover.runs.files import checked_provenance, read_metrics
from crossover.specs.descriptions import Metrics
from crossover.specs.runs import Candidate, RateSelection, RunSpec, SelectedRate


def select_rate(spec: RunSpec, output: Path) -> None:
    """Write the rate with the best mean validation score over the seeds of the sweep; of equal ones, that of the lowest loss.

    A rate at which a run diverged before it had weights to keep (`best_step` 0) is selected only over others of that kind.

    Args:
        spec: the final run's spec, whose learning rate is selected.
        output: results/rates/<run>.json.

    Raises:
        UserError: a file of one of the runs that tried the rates is missing, or is not the one that the run wrote.
    """
    assert isinstance(spec.learning_rate, SelectedRate)
    tried: dict[float, list[Metrics]] = {}
    for run in spec.learning_rate.selected_from:
        checked_provenance(run.folder)
        metrics = read_metrics(run.folder)
        tried.setdefault(metrics.learning_rate, []).append(metrics)
    best = max(tried, key=lambda rate: _rank(tried[rate]))
    candidates = tuple(_candidate(metrics) for runs in tried.values() for metrics in runs)
    RateSelection(run=spec.name, learning_rate=best, candidates=candidates).write(output)


def _rank(runs: list[Metrics]) -> tuple[bool, float, float]:
    scores, losses = ([getattr(run.validation, name) for run in runs] for name in ("score", "loss"))
    return all(run.best_step for run in runs), fmean(scores), -fmean(losses)


def _candidate(metrics: Metrics) -> Candidate:
    return Candidate(
        run=metrics.run,
        seed=metrics.seed,
        learning_rate=metrics.learning_rate,
        validation_score=metrics.validation.score,
        validation_loss=metrics.validation.loss,
    )
