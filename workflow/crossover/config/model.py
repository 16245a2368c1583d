"""The typed model of everything under config/: the one truth for keys, defaults, schema and reference.

`crossover config-schema` writes the JSON Schemas and the reference from these classes; a test fails when the
committed files differ. Unknown keys are refused.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

# A name becomes part of file names: "." separates the parts of a run, and a file system takes 255 bytes in all.
NAME = r"^[a-z0-9][a-z0-9-]{0,59}$"
Name = Annotated[str, Field(pattern=NAME)]
CorpusFolder = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_/-]*$")]  # below the corpus, never beside it
Share = Annotated[float, Field(gt=0, lt=1)]
Group = Literal["head", "input", "positions", "norms", "attention", "feedforward", "embeddings"]

# Presets of the trained parameters. `frozen` is the set of Lu et al. 2021 (section 2.2): attention and
# feed-forward weights keep their values. `head` alone is their "output layer only" (a reservoir).
TRAINED_PRESETS: dict[str, tuple[Group, ...]] = {
    "all": ("head", "input", "positions", "norms", "attention", "feedforward", "embeddings"),
    "frozen": ("head", "input", "positions", "norms"),
    "head": ("head",),
}


class Model(BaseModel):
    """A part of the config: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Described(Model):
    """Words for people. They never enter the identity of a run."""

    title: str
    """Name shown in the report."""
    description: str = ""
    """One or two sentences shown in the report."""


# --- datasets: where raw files come from ------------------------------------------------------------------


class Music21Dataset(Model):
    """Scores from the corpus that the music21 package installs, written as MIDI, one folder per class."""

    kind: Literal["music21"]
    name: Name
    """Name of the folder under resources/downloads/."""
    classes: dict[Name, CorpusFolder] = Field(min_length=2)
    """Class label to folder of the corpus."""
    pieces: PositiveInt
    """Pieces taken from each folder."""
    seed: int = 0
    """Seed of the choice of pieces."""


class DigitsDataset(Model):
    """The 1,797 handwritten digits that scikit-learn installs."""

    kind: Literal["sklearn-digits"]
    name: Name
    """Name of the folder under resources/downloads/."""


class PythonTopicsDataset(Model):
    """English prose already on the machine: Python's own documentation topics (`pydoc_data.topics`)."""

    kind: Literal["python-topics"]
    name: Name
    """Name of the folder under resources/downloads/."""


class FolderDataset(Model):
    """A folder of your own files, read in place; for MIDI files the sub-folders are the classes."""

    kind: Literal["folder"]
    name: Name
    """Name of the receipt's folder under resources/downloads/."""
    path: str
    """The folder, relative to the working directory."""


Dataset = Annotated[Music21Dataset | DigitsDataset | PythonTopicsDataset | FolderDataset, Field(discriminator="kind")]

# --- readers: how raw files, or a generator, become labelled sequences ------------------------------------


class Sizes(Model):
    """Items of each split of a generated task."""

    train: PositiveInt
    """Training items."""
    validation: PositiveInt
    """Validation items."""
    test: PositiveInt
    """Test items."""


class MidiReader(Model):
    """MIDI files, one folder per class, cut into segments of notes in the order of (onset, pitch)."""

    kind: Literal["midi"]
    segment: PositiveInt = 48
    """Notes in a segment."""
    maximum_segments: PositiveInt = 6
    """Segments taken from one piece at most."""


class DigitsReader(Model):
    """scikit-learn's digits: 8 x 8 pixels, ten classes."""

    kind: Literal["digits"]


class ListopsReader(Model):
    """Nested list operations (Nangia & Bowman 2018), generated, brackets kept."""

    kind: Literal["listops"]
    max_depth: PositiveInt
    """Deepest nesting."""
    max_args: Annotated[int, Field(ge=2)]
    """Most arguments of an operator."""
    min_length: PositiveInt
    """Shortest sequence kept, in symbols."""
    max_length: PositiveInt
    """Longest sequence kept, in symbols."""
    sizes: Sizes
    """Items of each split."""
    seed: int = 0
    """Seed of the generator."""


class BitMemoryReader(Model):
    """Recall a masked bit string among several shown before (Lu et al. 2021, section 3.1)."""

    kind: Literal["bit-memory"]
    strings: PositiveInt
    """Strings shown."""
    bits: PositiveInt
    """Bits of a string."""
    sizes: Sizes
    """Items of each split."""
    seed: int = 0
    """Seed of the generator."""


class BitXorReader(Model):
    """The elementwise XOR of two bit strings (Lu et al. 2021, section 3.1)."""

    kind: Literal["bit-xor"]
    bits: PositiveInt
    """Bits of a string."""
    sizes: Sizes
    """Items of each split."""
    seed: int = 0
    """Seed of the generator."""


class SpliceSimReader(Model):
    """Simulated DNA around splice sites, drawn from published position weights, with decoys."""

    kind: Literal["splice-sim"]
    flank: Annotated[int, Field(ge=14)] = 30
    """Nucleotides on each side of the boundary of exon and intron; the published tables reach 14."""
    sizes: Sizes
    """Items of each split."""
    seed: int = 0
    """Seed of the generator."""


class FoldsSimReader(Model):
    """Simulated proteins of four structural classes."""

    kind: Literal["folds-sim"]
    sizes: Sizes
    """Items of each split."""
    seed: int = 0
    """Seed of the generator."""


Reader = Annotated[
    MidiReader | DigitsReader | ListopsReader | BitMemoryReader | BitXorReader | SpliceSimReader | FoldsSimReader,
    Field(discriminator="kind"),
]


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


class Target(Model):
    """What is predicted."""

    kind: Literal["class", "bits"]
    """One class for an item, or bits at its last positions."""
    metric: Literal["accuracy"] = "accuracy"
    """Score of a prediction; for bits, the share of right bits."""


# --- encodings ----------------------------------------------------------------------------------------------


class SymbolsEncoding(Model):
    """One position per symbol, from a fixed alphabet or from the symbols of the training split."""

    kind: Literal["symbols"]
    alphabet: Literal["dna", "protein", "midi-pitch", "whitespace"]
    """The vocabulary; `whitespace` collects the words of the training split."""
    max_length: PositiveInt
    """Longer items are cut here; the share that is cut is reported."""


class PatchesEncoding(Model):
    """One position per patch of numbers: a rectangle of an image, or a run of a series."""

    kind: Literal["patches"]
    patch: list[PositiveInt] = Field(min_length=1, max_length=2)
    """Size of a patch: [rows, columns] or [length]; it must divide the item's shape."""


Encoding = Annotated[SymbolsEncoding | PatchesEncoding, Field(discriminator="kind")]


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


# --- checkpoints --------------------------------------------------------------------------------------------


class Pretraining(Model):
    """Causal language modelling."""

    context: PositiveInt
    """Tokens of a training window."""
    batch_size: PositiveInt
    """Windows of a step."""
    steps: PositiveInt
    """Optimizer steps."""
    learning_rate: PositiveFloat
    """Peak rate of AdamW: linear warm-up over 5 % of the steps, then cosine decay to a tenth."""
    weight_decay: float = 0.1
    """Decay of matrices; vectors and norms have none."""
    held_out: Share = 0.1
    """Share of the corpus kept for the held-out perplexity."""
    seed: int = 0
    """Seed of the initial weights and of the windows."""


class PretrainedHere(Described):
    """A language model that the workflow pretrains itself."""

    kind: Literal["pretrain"]
    licence: str
    """Licence of the corpus."""
    corpus: PythonTopicsDataset
    """Text to learn from."""
    architecture: Literal["gpt2"]
    """Hugging Face model type."""
    vocabulary: Annotated[int, Field(ge=257)]
    """Size of the byte-level BPE vocabulary, trained on the same corpus."""
    blocks: PositiveInt
    """Transformer blocks."""
    width: PositiveInt
    """Hidden size."""
    heads: PositiveInt
    """Attention heads."""
    positions: PositiveInt
    """Longest sequence the model can read."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout of embeddings, attention and residuals."""
    training: Pretraining
    """How it is trained."""

    @model_validator(mode="after")
    def consistent(self) -> "PretrainedHere":
        """Shapes that cannot be built are refused before anything runs."""
        if self.width % self.heads:
            raise ValueError("width must be a multiple of heads")
        if self.training.context > self.positions:
            raise ValueError("training.context must not be longer than positions")
        return self


class LocalCheckpoint(Described):
    """A folder in Hugging Face form: config.json and model.safetensors."""

    kind: Literal["folder"]
    licence: str
    """Licence of the weights."""
    path: str
    """The folder, relative to the working directory."""


Checkpoint = Annotated[PretrainedHere | LocalCheckpoint, Field(discriminator="kind")]

# --- conditions and studies ---------------------------------------------------------------------------------


class Condition(Described):
    """One entry of config/conditions.yaml: how a run uses its checkpoint."""

    body: Literal["pretrained", "random"]
    """The weights inside: the checkpoint's, or the architecture's own initialisation."""
    input: Literal["new"] = "new"
    """How sequences enter: a fresh linear layer for patches, a fresh table for symbols."""
    trained: Literal["all", "frozen", "head"] | list[Group]
    """The parameters that receive gradients: a preset, or a list of groups."""

    @property
    def groups(self) -> list[str]:
        """The trained groups, in a fixed order, presets resolved."""
        chosen = TRAINED_PRESETS[self.trained] if isinstance(self.trained, str) else self.trained
        return [group for group in TRAINED_PRESETS["all"] if group in chosen]


class Training(Model):
    """How a run is trained."""

    batch_size: PositiveInt = 32
    """Items of a step."""
    max_steps: PositiveInt = 2000
    """Optimizer steps at most."""
    evaluate_every: PositiveInt = 50
    """Steps between evaluations on the whole validation split."""
    patience: PositiveInt = 10
    """Evaluations without a better validation score before a run stops early."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's weight decay."""
    gradient_clip: PositiveFloat = 1.0
    """Largest norm of the gradient."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Dropout in the body; by default the checkpoint's own."""


# Every field of Training, each optional: what is absent is taken from the study's `training`. The merged
# settings are validated as a Training again, so limits need not be repeated here.
_OPTIONAL: dict[str, Any] = {
    name: (field.annotation | None, Field(None, description=field.description))  # type: ignore[operator]
    for name, field in Training.model_fields.items()
}
TrainingOverride = create_model(
    "TrainingOverride",
    __base__=Model,
    __doc__="Training settings of one task; what is absent is taken from the study's `training`.",
    **_OPTIONAL,
)


class Hardware(Model):
    """What a run needs. It does not enter the identity of a run."""

    gpu: Annotated[int, Field(ge=0, le=1)] = 1
    """GPUs of a run; with 0 it runs on the CPU even where there is a GPU."""
    threads: PositiveInt = 1
    """CPU threads of a run."""
    memory_mb: PositiveInt | None = None
    """Memory of a run for the scheduler of a cluster, times the number of the attempt; by default estimated."""
    minutes: PositiveInt | None = None
    """Time of a run for the scheduler of a cluster, times the number of the attempt; by default estimated."""


class Study(Described):
    """config/studies/NAME.yaml: every task x checkpoint x condition is a cell."""

    question: str
    """The question that the report answers."""
    tasks: list[Name] = Field(min_length=1)
    """Names of files in config/tasks/."""
    checkpoints: list[Name] = Field(min_length=1)
    """Names of files in config/checkpoints/."""
    conditions: list[Name] = Field(min_length=1)
    """Names from config/conditions.yaml."""
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    """Seeds of the final runs."""
    learning_rates: list[PositiveFloat] = Field(min_length=1)
    """Rates to choose from; with more than one, each cell's rate is selected on validation data."""
    sweep_seed: Annotated[int, Field(ge=0)] = 1000
    """Seed of the runs that select the rate; not one of `seeds`, so that final scores are fresh."""
    training: Training = Training()
    """Training settings of all runs."""
    training_by_task: dict[Name, TrainingOverride] = {}  # type: ignore[valid-type]
    """Exceptions for some tasks."""
    hardware: Hardware = Hardware()
    """What a run needs."""

    @field_validator("tasks", "checkpoints", "conditions", "seeds", "learning_rates")
    @classmethod
    def no_repeats(cls, values: list) -> list:
        """A name or number listed twice is a slip."""
        repeated = {str(value) for value in values if values.count(value) > 1}
        if repeated:
            raise ValueError(f"listed twice: {', '.join(sorted(repeated))}")
        return values

    @model_validator(mode="after")
    def consistent(self) -> "Study":
        """Settings that contradict each other are refused."""
        if len(self.learning_rates) > 1 and self.sweep_seed in self.seeds:
            raise ValueError(f"sweep_seed {self.sweep_seed} must not be one of seeds")
        for task in self.training_by_task:
            try:
                self.training_of(task)
            except ValidationError as error:
                problem = error.errors()[0]
                raise ValueError(f"training_by_task.{task}.{problem['loc'][0]}: {problem['msg'].lower()}") from error
        strangers = sorted(set(self.training_by_task) - set(self.tasks))
        if strangers:
            raise ValueError(f"training_by_task names {strangers[0]}, which is not one of tasks")
        return self

    def training_of(self, task: str) -> Training:
        """The training settings of one task, its exceptions applied."""
        override = self.training_by_task.get(task)
        changed: dict[str, Any] = override.model_dump(exclude_none=True) if override else {}
        return Training(**{**self.training.model_dump(), **changed})


class Config(Model):
    """config/config.yaml, and the keys of `snakemake --config`."""

    study: str = "demo"
    """A name in config/studies/, or the path of a study file."""
