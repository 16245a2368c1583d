"""The learning rate of a cell, selected on validation data alone."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import fmean

from crossover.errors import UserError
from crossover.runs.files import checked_provenance, is_complete, read_metrics
from crossover.specs.descriptions import Metrics
from crossover.specs.runs import Candidate, RateSelection, RunSpec, SeededRun, SelectedRate

Tried = dict[float, list[Metrics]]  # what the runs at each rate reached
Train = Callable[[SeededRun], None]


def select_rate(spec: RunSpec, output: Path, train: Train | None = None) -> None:
    """Write the rate with the best mean validation score over the seeds of the sweep; of equal ones, that of the lowest loss.

    A rate at which a run diverged before it had weights to keep (`best_step` 0) is selected only over others of that kind.
    While the best rate is the lowest or highest that was tried, the runs of a further decade at that end are trained, unless
    their results are there, as far as the spec names any.

    Args:
        spec: the final run's spec, whose learning rate is selected.
        output: results/rates/<run>.json, or results/widened/<run>.json where the range may widen.
        train: computes a run of a further decade; needed where the spec names some.

    Raises:
        UserError: a file of one of the runs that tried the rates is missing, or is not the one that the run wrote.
    """
    assert isinstance(spec.learning_rate, SelectedRate)
    train = train or partial(_refuse, spec.name)
    tried = _results(spec.learning_rate.selected_from)
    read = checked_provenance(spec.learning_rate.selected_from[0].folder).digests
    lower, higher = iter(spec.learning_rate.lower), iter(spec.learning_rate.higher)
    while True:
        best = max(tried, key=lambda rate: _rank(tried[rate]))
        # The rates stay in ascending order, as if the range had been as wide from the start: of equal ones the first is taken.
        if best == min(tried) and (decade := next(lower, None)):
            tried = _trained(decade, read, train) | tried
        elif best == max(tried) and (decade := next(higher, None)):
            tried = tried | _trained(decade, read, train)
        else:
            break
    candidates = tuple(_candidate(metrics) for runs in tried.values() for metrics in runs)
    RateSelection(run=spec.name, learning_rate=best, candidates=candidates).write(output)


def _trained(decade: Iterable[SeededRun], read: dict[str, str], train: Train) -> Tried:
    """Return the results of a further decade; those that are there are used if they are of the same tokens and checkpoint."""
    for run in decade:
        if not is_complete(run.folder) or checked_provenance(run.folder).digests != read:
            train(run)
    return _results(decade)


def _refuse(name: str, run: SeededRun) -> None:
    raise UserError(
        f"the range of rates of {name} has to widen, but {run.run} is not there; call crossover widen-range."
    )


def _results(runs: Iterable[SeededRun]) -> Tried:
    tried: Tried = {}
    for run in runs:
        checked_provenance(run.folder)
        metrics = read_metrics(run.folder)
        tried.setdefault(metrics.learning_rate, []).append(metrics)
    return tried


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
