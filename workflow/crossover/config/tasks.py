"""Tasks: config/tasks/NAME.yaml."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, ValidationInfo, model_validator

from crossover.config.base import Described, Model, Share
from crossover.config.datasets import Dataset
from crossover.config.encodings import Encoding
from crossover.config.readers import Reader


class Split(Model):
    """How items are divided."""

    by: Literal["item", "group", "similarity", "given"] = "item"
    """`group` keeps all items of a group (the segments of a piece) on one side, `similarity` all that resemble each
    other; `given` takes the splits from the data."""
    validation: Share = 0.15
    """Share of the items that validate; with `given`, what is taken from the training items where the data has no
    validation split."""
    test: Share = 0.2
    """Share of the items that test; with `given` they come from the data."""
    stratified: bool = True
    """Whether each class is divided by itself, so that all splits hold it in the same shares."""
    identity: Annotated[float, Field(ge=0.3, lt=1)] = 0.8
    """With `similarity`: sequences with at least this share of equal letters are kept together."""
    tool: Literal["minhash", "mmseqs2", "cd-hit"] = "minhash"
    """With `similarity`: what finds them. `minhash` estimates the share from common words of a few letters; the others
    align, and must be installed."""
    seed: int = 0
    """Seed of the split."""

    @model_validator(mode="after")
    def consistent(self, info: ValidationInfo) -> "Split":
        """The two shares must leave something to train on, and a setting must mean something."""
        idle = {"given": ["identity", "test", "tool"], "similarity": []}.get(self.by, ["identity", "tool"])
        if not info.context and (unused := sorted(set(idle) & self.model_fields_set)):
            raise ValueError(f"{unused[0]} means nothing with by: {self.by}; leave it out")
        if self.by != "given" and self.validation + self.test >= 1:
            raise ValueError("validation and test together must be less than 1")
        return self


class Policy(Model):
    """What is done with items that are not as they should be. What is done is counted, and the card shows it.

    Lower-case letters of DNA and proteins are read as upper case, U of RNA as T, and a stop sign at the end is left out.
    """

    empty: Literal["error", "drop"] = "error"
    """Items without a sequence."""
    missing_label: Literal["error", "drop"] = "error"
    """Items without a label."""
    gaps: Literal["error", "remove"] = "error"
    """`-` and `.` in DNA and proteins: aligned sequences."""
    unknown: Literal["map", "drop", "error"] = "map"
    """Letters of DNA other than ACGTN, or of proteins other than the twenty and X: read as N or X, the item dropped, or
    an error. What is no letter, such as a digit, is never read as one."""
    shortest: PositiveInt | None = None
    """Items with fewer letters (symbols, notes, values) are dropped."""
    longest: PositiveInt | None = None
    """Items with more are dropped; what is only to be cut, the encoding cuts."""
    rare_class: Literal["error", "drop"] = "error"
    """Classes that cannot be both learned and scored: not in training, or with fewer items (groups) than splits."""


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
    policy: Policy = Policy()
    """What is done with items that are not as they should be; a generated task has none of these."""
    target: Target
    """What is predicted."""
    encoding: Encoding
    """How an item becomes model input."""

    @model_validator(mode="after")
    def generated_or_read(self) -> "Task":
        """A generator makes its own splits and needs no files; everything else needs both."""
        generated = hasattr(self.reader, "sizes")
        if generated and (self.dataset or self.split or "policy" in self.model_fields_set):
            raise ValueError(f"reader {self.reader.kind} generates its items: leave out dataset, split and policy")
        if not generated and not (self.dataset and self.split):
            raise ValueError(f"reader {self.reader.kind} needs a dataset and a split")
        return self

    @model_validator(mode="after")
    def given_or_drawn(self) -> "Task":
        """Splits that the data gives are not drawn, and none are given where the data has none."""
        gives = getattr(self.reader, "gives_split", False)
        if self.split and gives != (self.split.by == "given"):
            told = "where the splits are" if gives else "of no splits"
            wanted = (
                "set split.by to given" if gives else "choose another split.by, or name files or a column of splits"
            )
            raise ValueError(f"reader {self.reader.kind} is told {told}: {wanted}")
        return self
