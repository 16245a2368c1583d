"""The items of a task that a model is pretrained on, in the task's own encoding: never those of its test split."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crossover.encodings.tokens import Tokens
from crossover.errors import UserError
from crossover.seeds import derived_seed
from crossover.specs.checkpoints import PretrainedSpec
from crossover.specs.descriptions import EncodingDescription
from crossover.training.loop import batches

EVALUATION_ITEMS = 32  # per batch


@dataclass(frozen=True)
class TaskItems:
    """The training and the validation split of a task.

    Attributes:
        source: path of the description of the tokens.
        encoding: what it says.
        training: the split that is learned from.
        validation: the split that the loss is measured on.
        order: the items of each step, int64 [batch]; each epoch is a permutation of its own.
    """

    source: Path
    encoding: EncodingDescription
    training: Tokens
    validation: Tokens
    order: Callable[[int], np.ndarray]

    @classmethod
    def open(cls, spec: PretrainedSpec, corpus: Path) -> "TaskItems":
        """Open the splits, after verifying the SHA-256 of their files.

        Args:
            spec: of the checkpoint.
            corpus: encoding.json of the task's tokens.

        Raises:
            UserError: a file is missing or damaged, or the sequences are longer than the model has positions.
        """
        encoding = EncodingDescription.load(corpus)
        if encoding.longest > spec.positions:
            raise UserError(
                f"{corpus.parent} has sequences of {encoding.longest} positions, but checkpoint {spec.name} has only "
                f"{spec.positions}; raise its positions, or shorten the task's encoding."
            )
        training, validation = (Tokens.open(corpus.parent, split) for split in ("train", "validation"))
        order = batches(len(training), spec.training.batch_size, derived_seed(spec.training.seed, "order"))
        return cls(corpus, encoding, training, validation, order)

    def require_longer_than(self, positions: int) -> None:
        """Raise unless both splits have an item of more positions, since nothing could be predicted otherwise.

        Raises:
            UserError: all items of a split are shorter.
        """
        for split, tokens in (("training", self.training), ("validation", self.validation)):
            if tokens.lengths.max(initial=0) <= positions:
                raise UserError(
                    f"{self.source.parent}: no item of the {split} split is longer than {positions} positions, so there is "
                    "nothing to predict; pretrain on another task."
                )

    @property
    def positions(self) -> int:
        """The number of positions of both splits."""
        return int(self.training.lengths.sum() + self.validation.lengths.sum())

    def positions_seen(self, steps: int) -> int:
        """Return how many positions were read in some steps of training."""
        return sum(int(self.training.lengths[self.order(step)].sum()) for step in range(steps))
