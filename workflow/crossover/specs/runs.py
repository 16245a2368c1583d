"""Runs: a model, how it is trained, and the rates that are tried."""

from typing import ClassVar, Literal

from crossover.config.bodies import Body, RandomInit, VitPositions
from crossover.config.conditions import TrainedPart
from crossover.config.heads import Head
from crossover.config.inputs import Input, InputScale
from crossover.config.recipes import CandidateRates
from crossover.config.sizes import Drawn
from crossover.config.training import KeptWeights, Training
from crossover.specs.base import Record, Spec
from crossover.specs.checkpoints import CheckpointFiles
from crossover.specs.identity import hash8


class CellKey(Record):
    """Which cell of a study a run belongs to, by the names of the config; a task at a data size is one of its own."""

    task: str
    checkpoint: str
    condition: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Task, checkpoint and condition."""
        return self.task, self.checkpoint, self.condition


class TrainSubset(Record):
    """A part of the training split, drawn by each seed: its number of items, and how they are drawn."""

    items: int
    drawn: Drawn


class ModelSettings(Record):
    """The model that a task's tokens are read by.

    Attributes:
        tokens: name of the spec of the tokens.
        checkpoint: the weights that it starts from.
        body: which weights the body has.
        random_init: how it is drawn; None where it does not start random.
        input: how sequences enter.
        input_scale: of a new input layer; None where the input is another.
        vit_positions: of a ViT.
        head: what the output layer reads, and through what.
        trained: the parts that receive gradients.
    """

    tokens: str
    checkpoint: CheckpointFiles
    body: Body
    random_init: RandomInit | None
    input: Input
    input_scale: InputScale | None
    vit_positions: VitPositions
    head: Head
    trained: tuple[TrainedPart, ...]

    @property
    def dropout(self) -> float | None:
        """Dropout in the body; None for the checkpoint's own."""
        return None

    @property
    def input_dropout(self) -> float:
        """Dropout behind a new input layer."""
        return 0.0

    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        """The compute dtype."""
        return "fp32"


class AnalysedSettings(ModelSettings):
    """A model that is analysed; `trained_by` is the run that has trained it, None for a model before it is fine-tuned."""

    trained_by: str | None


class RunSpec(Spec, ModelSettings):
    """A model and how it is trained; its seeds are counted under it.

    Attributes:
        cell: what it is a run of.
        train_subset: the part of the training split that it learns from; None for all of it.
        training: how it is trained.
        learning_rates: its rates, of which each seed takes the one that is best on validation data.
        keep_weights: of which step its weights are kept: of the `best` validation score, or the `last` one; None for neither.
    """

    ABOUT: ClassVar[frozenset[str]] = frozenset({"cell"})

    kind: Literal["run"] = "run"
    cell: CellKey
    train_subset: TrainSubset | None
    training: Training
    learning_rates: CandidateRates
    keep_weights: KeptWeights | None

    @property
    def dropout(self) -> float | None:
        """Dropout in the body; None for the checkpoint's own."""
        return self.training.dropout

    @property
    def input_dropout(self) -> float:
        """Dropout behind a new input layer."""
        return self.training.input_dropout

    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        """The compute dtype."""
        return self.training.precision

    @property
    def without_weights(self) -> str:
        """The name of the same run that keeps no weights."""
        other = self.model_copy(update={"keep_weights": None})
        return f"{self.stem}-{hash8(other.identity)}"
