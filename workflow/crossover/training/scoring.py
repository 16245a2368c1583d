"""Answers of a model, and how right they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor
from torch.nn import functional

from crossover.metrics import item_scores, score
from crossover.specs.descriptions import EncodedTarget


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean loss of a batch: cross-entropy in nats for classes and bits, squared error for numbers."""
    if targets.is_floating_point():
        return functional.mse_loss(logits[:, 0], targets)
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


def answers_of(logits: Tensor, target: EncodedTarget) -> Tensor:
    """Return what a model answers: class numbers [B], bits [B, positions, bits], or standardised numbers [B]."""
    return logits[:, 0] if target.kind == "number" else logits.argmax(dim=-1)


@dataclass(frozen=True)
class Scorer:
    """Scores the answers to one split.

    Attributes:
        target: what is predicted.
        items: columns `item` and `group`, in the order of the split.
        truth: the targets of the split, as tokens hold them.
    """

    target: EncodedTarget
    items: pd.DataFrame
    truth: np.ndarray

    def score(self, answers: np.ndarray) -> float:
        """Return the task's metric."""
        return self._scores(answers, [self.target.metric])[self.target.metric]

    def metrics(self, answers: np.ndarray) -> dict[str, float]:
        """Return the task's metric, and the further ones that it asks for."""
        return self._scores(answers, [self.target.metric, *self.target.also])

    def _scores(self, answers: np.ndarray, wanted: Sequence[str]) -> dict[str, float]:
        _, truth, answers = self._units(answers)
        return {metric: score(metric, truth, answers, self._positive) for metric in wanted}

    def table(self, answers: np.ndarray) -> pd.DataFrame:
        """Return one row for each item, or for each group that votes.

        Returns:
            Columns `item`, `group` and `score` (see `crossover.metrics.item_scores`), and for classes and numbers
            `target` and `prediction`.
        """
        items, truth, answers = self._units(answers)
        table = items.assign(score=item_scores(self.target.metric, truth, answers, self._positive))
        match self.target.kind:
            case "class":
                classes = np.array(self.target.classes)
                return table.assign(target=classes[truth], prediction=classes[answers])
            case "number":
                mean, deviation = self.target.mean, self.target.deviation
                assert mean is not None
                assert deviation is not None
                return table.assign(target=mean + deviation * truth, prediction=mean + deviation * answers)
        return table

    @property
    def _positive(self) -> int | None:
        name, classes = self.target.positive, self.target.classes
        return None if name is None or classes is None else classes.index(name)

    def _units(self, answers: np.ndarray) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        """Return items, targets and answers of what is scored: the items themselves, or the groups that they vote for."""
        if not self.target.vote:
            return self.items, self.truth, answers
        assert self.target.classes is not None
        names, first, group = np.unique(self.items["group"].to_numpy(str), return_index=True, return_inverse=True)
        votes = np.zeros((len(names), len(self.target.classes)), dtype=np.int64)
        np.add.at(votes, (group, answers), 1)
        # Of classes with equally many votes, the first in the order of names wins.
        return pd.DataFrame({"item": names, "group": names}), self.truth[first], votes.argmax(axis=1)
