"""Tasks: config/tasks/NAME.yaml."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, ValidationInfo, model_validator

from crossover.config.base import ConfigModel, Fraction, Name, TitledModel
from crossover.config.datasets import Dataset
from crossover.config.encodings import Encoding
from crossover.config.readers import Reader


class Split(ConfigModel):
    """How items are split into training, validation and test."""

    by: Literal["item", "group", "similarity", "given"] = "item"
    """`item`: at random. `group`: items of one group, such as the segments of a piece, stay in the same split.
    `similarity`: similar sequences stay in the same split. `given`: the data define the splits."""
    validation: Fraction = 0.15
    """Fraction of the items for validation. With `given`: fraction of the training items, used only if the data have no
    validation split."""
    test: Fraction = 0.2
    """Fraction of the items for testing; not used with `given`."""
    stratified: bool = True
    """Split each class separately, so that all splits have the same class proportions."""
    identity: Annotated[float, Field(ge=0.3, lt=1)] = 0.8
    """With `similarity`: sequence identity (fraction of equal letters) from which two sequences are kept together."""
    tool: Literal["minhash", "mmseqs2", "cd-hit"] = "minhash"
    """With `similarity`: how similar sequences are found. `minhash` estimates identity from shared k-mers; `mmseqs2` and
    `cd-hit` align sequences and must be installed."""
    seed: int = 0
    """Random seed of the split."""

    @model_validator(mode="after")
    def settings_fit_method(self, info: ValidationInfo) -> "Split":
        """Raise if a setting has no effect with this way of splitting."""
        unused = {"given": ["identity", "test", "tool"], "similarity": []}.get(self.by, ["identity", "tool"])
        if not info.context and (wrongly_set := sorted(set(unused) & self.model_fields_set)):
            raise ValueError(f"{wrongly_set[0]} has no effect with by: {self.by}; remove it")
        return self

    @model_validator(mode="after")
    def fractions_leave_training_items(self) -> "Split":
        """Raise if no items are left for training."""
        if self.by != "given" and self.validation + self.test >= 1:
            raise ValueError("validation and test together must be less than 1")
        return self


class Policy(ConfigModel):
    """How to handle invalid items. All changes are counted and shown on the task's card.

    In DNA and proteins, lower-case letters are always converted to upper case and U (RNA) to T, and a stop symbol (*) at the
    end is removed.
    """

    empty: Literal["error", "drop"] = "error"
    """Items with an empty sequence."""
    missing_label: Literal["error", "drop"] = "error"
    """Items without a label."""
    gaps: Literal["error", "remove"] = "error"
    """Gaps (`-` and `.`) in DNA and proteins, as in aligned sequences."""
    unknown: Literal["map", "drop", "error"] = "map"
    """Letters of DNA other than ACGTN, or of proteins other than the 20 amino acids and X: `map` them to N or X, `drop` the
    item, or raise an `error`. Characters that are not letters, such as digits, are never mapped."""
    shortest: PositiveInt | None = None
    """Minimum number of letters (symbols, notes, values); shorter items are dropped."""
    longest: PositiveInt | None = None
    """Maximum number of letters; longer items are dropped. To truncate them instead, use the encoding's `max_length`."""
    rare_class: Literal["error", "drop"] = "error"
    """Classes that cannot be both learned and scored: not in the training split, or with fewer items (or groups) than
    there are splits."""


MetricName = Literal["accuracy", "mcc", "f1", "spearman"]


class Target(ConfigModel):
    """What is predicted, and how it is scored."""

    kind: Literal["class", "bits", "number"]
    """`class`: one class per item. `bits`: bits at the last positions of the item. `number`: a number (regression)."""
    metric: MetricName = "accuracy"
    """Metric of the score: `accuracy` (for bits, the fraction of correct bits), `mcc` (Matthews correlation coefficient),
    `f1` (of the class `positive`), or `spearman` (rank correlation, for numbers)."""
    also: list[MetricName] = Field([])
    """Additional metrics for the tables, such as the one that a paper reports."""
    positive: str | None = None
    """Positive class for F1."""
    vote: bool = False
    """Score groups instead of items, by majority vote over the predicted classes of a group's items."""

    standardised: bool = True
    """Whether numbers are predicted in units of the standard deviation of the training split, around its mean; or as they are."""

    @model_validator(mode="after")
    def metrics_fit_kind(self) -> "Target":
        """Raise unless all metrics can score this kind of target, and none is listed twice."""
        metrics = [self.metric, *self.also]
        allowed = {"class": ("accuracy", "mcc", "f1"), "bits": ("accuracy",), "number": ("spearman",)}[self.kind]
        for metric in metrics:
            if metric not in allowed:
                raise ValueError(f"{metric} is not a metric for kind {self.kind}; use {' or '.join(allowed)}")
        if len(set(metrics)) < len(metrics):
            raise ValueError("a metric is listed twice")
        return self

    @model_validator(mode="after")
    def positive_only_with_f1(self) -> "Target":
        """Raise unless F1 has its positive class, and no other metric has one."""
        if ("f1" in [self.metric, *self.also]) != (self.positive is not None):
            raise ValueError("f1 needs positive, the class that it is computed for; no other metric may set positive")
        return self

    @model_validator(mode="after")
    def only_numbers_are_standardised(self) -> "Target":
        """Raise if targets other than numbers are to be left as they are."""
        if not self.standardised and self.kind != "number":
            raise ValueError("standardised is only for kind number; remove it")
        return self

    @model_validator(mode="after")
    def vote_needs_classes(self) -> "Target":
        """Raise if a majority vote is asked for over targets other than classes."""
        if self.vote and self.kind != "class":
            raise ValueError("vote is only for kind class; remove it")
        return self


class Task(TitledModel):
    """config/tasks/NAME.yaml: a dataset made into labelled sequences."""

    domain: Literal["music", "images", "logic", "dna", "protein", "text"]
    """Domain of the sequences."""
    simulated: bool = False
    """Whether the sequences imitate a real domain; the report says so wherever the task appears."""
    licence: str
    """Licence of the data."""
    citation: str
    """Publication of the data or of its generator."""
    dataset: Dataset | None = None
    """Raw files; leave out for a generated task."""
    reader: Reader
    """How items are read or generated."""
    split: Split | None = None
    """How items are split; leave out for a generated task, which has `sizes`."""
    policy: Policy = Policy()
    """How to handle invalid items; leave out for a generated task, which has none."""
    target: Target
    """Prediction target and metrics."""
    encoding: Encoding
    """How items become model input."""
    encodings_by_checkpoint: dict[Name, Encoding] = Field({})
    """How they become input of some checkpoints, which need another one, such as the letters that a model of proteins reads."""

    @model_validator(mode="after")
    def dataset_and_split_fit_reader(self) -> "Task":
        """Raise unless a generator stands alone, and any other reader has a dataset and a split."""
        generated = hasattr(self.reader, "sizes")
        if generated and (self.dataset or self.split or "policy" in self.model_fields_set):
            raise ValueError(f"reader {self.reader.kind} generates its items; remove dataset, split and policy")
        if not generated and not (self.dataset and self.split):
            raise ValueError(f"reader {self.reader.kind} needs a dataset and a split")
        return self

    @model_validator(mode="after")
    def given_split_fits_reader(self) -> "Task":
        """Raise unless `split.by` is `given` exactly if the reader's data define the splits."""
        defined = getattr(self.reader, "defines_splits", False)
        if self.split and defined and self.split.by != "given":
            raise ValueError(f"the data of reader {self.reader.kind} define the splits; set split.by to given")
        if self.split and not defined and self.split.by == "given":
            raise ValueError(
                f"reader {self.reader.kind} defines no splits; choose another split.by, or give the reader files for each "
                "split or a column of splits"
            )
        return self
