"""The scores of a study's cells: which seeds failed, and what all cells together say of the variance between seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from crossover.metrics import METRICS
from crossover.specs.studies import StudySpec
from crossover.statistics.crossed import Crossed, Estimate, SeedPrior, crossed, difference_of, mean_of, seed_prior
from crossover.statistics.intervals import group_means
from crossover.statistics.records import Scores

Failure = Literal["one constant answer", "at the floor"]
Key = tuple[str, str, str]  # task, checkpoint and condition of a cell


@dataclass(frozen=True)
class ScoredCell:
    """A cell and its scores.

    Attributes:
        scores: of each seed on each item.
        crossed: the same, reduced.
        failures: how each seed failed; None for those that did not.
    """

    scores: Scores
    crossed: Crossed
    failures: tuple[Failure | None, ...]

    @property
    def did_train(self) -> bool:
        """Whether any seed learned something. What did not train is not compared, since it says nothing of the model."""
        return None in self.failures

    @property
    def run(self) -> str:
        """Its final run."""
        return self.scores.run


@dataclass(frozen=True)
class ScoredStudy:
    """The scores of a study.

    Attributes:
        cells: by task, checkpoint and condition.
        metrics: of the tasks.
        priors: what cells with one metric say of the variance between seeds, by metric.
    """

    cells: Mapping[Key, ScoredCell]
    metrics: Mapping[str, str]
    priors: Mapping[str, SeedPrior]

    def mean(self, key: Key) -> Estimate:
        """Return the mean score of a cell."""
        return mean_of(self.cells[key].crossed, self.priors[self.metrics[key[0]]])

    def difference(self, a: Key, b: Key) -> Estimate:
        """Return the difference of two cells' mean scores on one task."""
        prior = self.priors[self.metrics[a[0]]]
        return difference_of(self.cells[a].crossed, self.cells[b].crossed, prior, self.span(a[0]))

    def span(self, task: str) -> float:
        """Return the largest difference that two scores on a task can have."""
        return 1 - self.lowest(task)

    def lowest(self, task: str) -> float:
        """Return the lowest score that a task can have."""
        return METRICS[self.metrics[task]].lowest


def score_study(spec: StudySpec, scores: Mapping[Key, Scores], floors: Mapping[str, float]) -> ScoredStudy:
    """Find the seeds that failed, and what the cells that trained have in common.

    Args:
        spec: the study.
        scores: of each cell.
        floors: by final run.
    """
    metrics = {name: task.metric for name, task in spec.tasks.items()}
    cells = {key: _score_cell(own, floors[own.run], spec.confidence) for key, own in scores.items()}
    trained: dict[str, dict[str, Crossed]] = {metric: {} for metric in metrics.values()}
    for key, cell in cells.items():
        if cell.did_train:
            trained[metrics[key[0]]][cell.run] = cell.crossed  # a run under two names counts once
    priors = {metric: seed_prior(list(own.values())) for metric, own in trained.items()}
    return ScoredStudy(cells, metrics, priors)


def _score_cell(scores: Scores, floor: float, confidence: float) -> ScoredCell:
    values = group_means(scores.values, scores.groups)
    above = _is_above(values, floor, (1 - confidence) / 2)
    failures: tuple[Failure | None, ...] = tuple(
        "one constant answer" if is_constant else None if is_above else "at the floor"
        for is_constant, is_above in zip(scores.constant, above, strict=True)
    )
    return ScoredCell(scores, crossed(values), failures)


def _is_above(values: np.ndarray, floor: float, level: float) -> np.ndarray:
    """Return for each seed whether its items alone show that it is above the floor, by Student's one-sided test."""
    groups = values.shape[1]
    above, error = values.mean(axis=1) - floor, values.std(axis=1, ddof=1) / np.sqrt(groups)
    t = np.divide(above, error, out=np.where(above > 0, np.inf, -np.inf), where=error > 0)
    is_above: np.ndarray = special.stdtr(groups - 1, -t) < level
    return is_above
