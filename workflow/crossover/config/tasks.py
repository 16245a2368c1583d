"""Tasks: config/tasks/NAME.yaml."""

from typing import Literal

from pydantic import Field, model_validator

from crossover.config.base import Described, Model, Share
from crossover.config.datasets import Dataset
from crossover.config.encodings import Encoding
from crossover.config.readers import Reader


class Split(Model):
    """A random split, stratified by class."""

    by: Literal["item", "group"] = "item"
    """`group` keeps all items of a group (the segments of a piece) on one side."""
    validation: Share = 0.15
    """Share of the validation split."""
    test: Share = 0.2
    """Share of the test split."""
    seed: int = 0
    """Seed of the split."""

    @model_validator(mode="after")
    def leaves_training_items(self) -> "Split":
        """The two shares must leave something to train on."""
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together must be less than 1")
        return self


MetricName = Literal["accuracy", "mcc", "f1", "spearman"]


class Target(Model):
    """What is predicted."""

    kind: Literal["class", "bits", "number"]
    """One class for an item, bits at its last positions, or a number (regression)."""
    metric: MetricName = "accuracy"
    """The score: `accuracy` (for bits, the share of right bits), `mcc` (Matthews correlation), `f1` (of the class
    `positive`), or `spearman` (rank correlation of numbers)."""
    also: list[MetricName] = Field([])
    """Further metrics that the tables list, such as the one that a paper used."""
    positive: str | None = None
    """The class that F1 looks for."""
    vote: bool = False
    """Score groups rather than items: the class that most items of a group are given counts."""

    @model_validator(mode="after")
    def fitting(self) -> "Target":
        """A metric belongs to a kind of target."""
        metrics = [self.metric, *self.also]
        allowed = {"class": ("accuracy", "mcc", "f1"), "bits": ("accuracy",), "number": ("spearman",)}[self.kind]
        for metric in metrics:
            if metric not in allowed:
                raise ValueError(f"{metric} is no metric of kind {self.kind}; use {' or '.join(allowed)}")
        if len(set(metrics)) < len(metrics):
            raise ValueError("a metric is listed twice")
        if ("f1" in metrics) != (self.positive is not None):
            raise ValueError("f1 needs positive, the class that it looks for, and nothing else does")
        if self.vote and self.kind != "class":
            raise ValueError("only classes are voted on; leave vote out")
        return self


class Task(Described):
    """config/tasks/NAME.yaml: a dataset made into labelled sequences."""

    domain: Literal["music", "images", "logic", "dna", "protein", "text"]
    """Where the sequences come from."""
    simulated: bool = False
    """True when the sequences imitate a real domain; the report says so wherever the task appears."""
    licence: str
    """Licence of the data."""
    citation: str
    """Where the data or its generator was published."""
    dataset: Dataset | None = None
    """Raw files; absent for a generated task."""
    reader: Reader
    """How items are read or generated."""
    split: Split | None = None
    """How items are divided; absent for a generated task, which has its own sizes."""
    target: Target
    """What is predicted."""
    encoding: Encoding
    """How an item becomes model input."""

    @model_validator(mode="after")
    def generated_or_read(self) -> "Task":
        """A generator makes its own splits and needs no files; everything else needs both."""
        generated = hasattr(self.reader, "sizes")
        if generated and (self.dataset or self.split):
            raise ValueError(f"reader {self.reader.kind} generates its items: leave out dataset and split")
        if not generated and not (self.dataset and self.split):
            raise ValueError(f"reader {self.reader.kind} needs a dataset and a split")
        return self
