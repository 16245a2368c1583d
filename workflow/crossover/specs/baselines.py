"""Baselines: what needs no transformer, beside every cell of a task."""

from typing import Literal

from crossover.specs.base import Spec
from crossover.specs.runs import TrainSubset


class BaselineSpec(Spec):
    """The candidates of a task's baseline, of which validation data select one; its seeds are counted under it.

    Attributes:
        tokens: the tokens of the task, as its cells read them; features are taken from each of them.
        train_subset: the part of the training split that each seed learns from; None for all of it, which needs one seed.
    """

    kind: Literal["baseline"] = "baseline"
    tokens: tuple[str, ...]
    train_subset: TrainSubset | None
