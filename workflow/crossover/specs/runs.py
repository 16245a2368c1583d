"""Runs: a model, how it is trained, and the rate that it is trained with."""

from pathlib import Path
from typing import ClassVar, Literal

from crossover.config.bodies import Body, RandomInit, VitPositions
from crossover.config.conditions import TrainedPart
from crossover.config.heads import Head
from crossover.config.inputs import Input, InputScale
from crossover.config.sizes import Drawn
from crossover.config.training import KeptWeights, Training
from crossover.specs.base import Record, Sealed, Spec
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


class SeededRun(Record):
    """A run with one of its seeds: what is computed and cached."""

    run: str
    seed: int

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return Path(f"results/runs/{self.run}/seed-{self.seed}")


class SelectedRate(Record):
    """A learning rate that is selected on validation data.

    Attributes:
        selected_from: the runs that try the rates.
        lower: those of further decades, which are tried while the lowest rate is the best: the nearest decade first.
        higher: likewise, while the highest rate is the best.
    """

    selected_from: tuple[SeededRun, ...]
    lower: tuple[tuple[SeededRun, ...], ...] = ()
    higher: tuple[tuple[SeededRun, ...], ...] = ()

    @property
    def further(self) -> tuple[SeededRun, ...]:
        """The runs of all further decades; none where the rates are a list."""
        return tuple(run for decade in (*self.lower, *self.higher) for run in decade)


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
    """A model trained at one learning rate; its seeds are counted under it.

    Attributes:
        cell: what it is a run of.
        train_subset: the part of the training split that it learns from; None for all of it.
        training: how it is trained.
        learning_rate: its rate, or where it is selected.
        score_test: whether it is scored on the test split; a run that tries a rate is not.
        keep_weights: of which step its weights are kept: of the `best` validation score, or the `last` one; None for neither.
    """

    ABOUT: ClassVar[frozenset[str]] = frozenset({"cell"})

    kind: Literal["run"] = "run"
    cell: CellKey
    train_subset: TrainSubset | None
    training: Training
    learning_rate: float | SelectedRate
    score_test: bool
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

    @property
    def rate_file(self) -> str:
        """The path of the file that holds its selected rate; the rule that makes it is another where the range may widen."""
        widens = isinstance(self.learning_rate, SelectedRate) and bool(self.learning_rate.further)
        return f"results/{'widened' if widens else 'rates'}/{self.name}.json"


class Candidate(Record):
    """A learning rate that was tried, and what its run reached on validation data."""

    run: str
    seed: int
    learning_rate: float
    validation_score: float
    validation_loss: float


class RateSelection(Sealed):
    """results/rates/<run>.json or results/widened/<run>.json: the selected learning rate of a run, and the candidates."""

    run: str
    learning_rate: float
    candidates: tuple[Candidate, ...]
