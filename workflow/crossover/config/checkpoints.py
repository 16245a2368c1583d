"""Checkpoints: config/checkpoints/NAME.yaml."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from crossover.config.base import Described, Model, Name, Share
from crossover.config.datasets import DownloadDataset, FolderDataset, PythonTopicsDataset, RemoteFile


class Pretraining(Model):
    """Language modelling: of the next token, or in architectures that read in both directions of masked ones."""

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
    """Share of the corpus kept for the held-out loss."""
    seed: int = 0
    """Seed of the initial weights and of the windows."""


class TaskCorpus(Model):
    """The training sequences of a task, without their labels: letters, words, or numbers with spaces between."""

    kind: Literal["task"]
    task: Name
    """Name of a file in config/tasks/."""


Corpus = Annotated[PythonTopicsDataset | FolderDataset | DownloadDataset | TaskCorpus, Field(discriminator="kind")]


class PretrainedHere(Described):
    """A language model that the workflow pretrains itself."""

    kind: Literal["pretrain"]
    licence: str
    """Licence of the corpus."""
    corpus: Corpus
    """What to learn from: Python's topics, files that end in .txt, .md or .tokens (WikiText), or a task's sequences."""
    architecture: str
    """Model type of a file in workflow/crossover/models/architectures/ that has an objective: causal (predict the next token) or masked (predict masked tokens)."""
    vocabulary: Annotated[int, Field(ge=257)]
    """Size of the byte-level BPE vocabulary, trained on the same corpus."""
    blocks: PositiveInt
    """Transformer blocks."""
    width: PositiveInt
    """Hidden size."""
    heads: PositiveInt
    """Attention heads; an LSTM has none."""
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


class HubCheckpoint(Described):
    """A checkpoint of the Hugging Face hub at a pinned commit, fetched once, before the runs that use it."""

    kind: Literal["hub"]
    licence: str
    """Licence of the weights."""
    id: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    """Id on the hub, such as openai-community/gpt2; it must have its weights as one model.safetensors."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    """The commit, in full: a branch would let the weights change."""


class DownloadedCheckpoint(Described):
    """A checkpoint in Hugging Face form from anywhere on the web, such as one within an archive."""

    kind: Literal["download"]
    licence: str
    """Licence of the weights."""
    files: list[RemoteFile] = Field(min_length=1)
    """The files, or archives that hold them; as in the downloads of datasets."""
    folder: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)*$")] = "."
    """Where in them config.json and model.safetensors lie, and tokenizer.json if there is one."""

    @model_validator(mode="after")
    def within_the_files(self) -> "DownloadedCheckpoint":
        """What lies elsewhere was not downloaded, and cannot be checked."""
        if ".." in self.folder.split("/"):
            raise ValueError("folder must lie within the files; leave out ..")
        return self


Checkpoint = Annotated[
    PretrainedHere | HubCheckpoint | DownloadedCheckpoint | LocalCheckpoint, Field(discriminator="kind")
]
