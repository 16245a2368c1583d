"""The learning rate of a cell, selected on validation data alone."""

from pathlib import Path

from crossover.runs.files import checked_provenance, read_metrics
from crossover.specs.runs import Candidate, RateSelection, RunSpec, SelectedRate


def select_rate(spec: RunSpec, output: Path) -> None:
    """Write the rate whose run reached the best validation score; of equal scores, the one with the lower loss wins.

    A run that diverged before it had weights to keep (`best_step` 0) wins only over others that did.

    Args:
        spec: the final run's spec, whose learning rate is selected.
        output: results/rates/<run>.json.

    Raises:
        UserError: a file of one of the runs that tried the rates is missing, or is not the one that the run wrote.
    """
    assert isinstance(spec.learning_rate, SelectedRate)
    candidates, trained = [], set()
    for run in spec.learning_rate.selected_from:
        checked_provenance(run.folder)
        metrics = read_metrics(run.folder)
        if metrics.best_step:
            trained.add(run.run)
        candidates.append(
            Candidate(
                run=run.run,
                learning_rate=metrics.learning_rate,
                validation_score=metrics.validation.score,
                validation_loss=metrics.validation.loss,
            )
        )
    best = max(candidates, key=lambda one: (one.run in trained, one.validation_score, -one.validation_loss))
    RateSelection(run=spec.name, learning_rate=best.learning_rate, candidates=tuple(candidates)).write(output)
