"""Checkpoints: config/checkpoints/NAME.yaml."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from crossover.config.base import ConfigModel, Fraction, Name, TitledModel
from crossover.config.datasets import DownloadDataset, FolderDataset, PythonTopicsDataset, RemoteFile


class Pretraining(ConfigModel):
    """How to pretrain: next-token prediction, or masked-token prediction for bidirectional architectures."""

    context: PositiveInt
    """Context length: tokens per training window."""
    batch_size: PositiveInt
    """Windows per optimizer step."""
    steps: PositiveInt
    """Number of optimizer steps."""
    learning_rate: PositiveFloat
    """Peak learning rate of AdamW: linear warm-up over 5 % of the steps, then cosine decay to a tenth of the peak."""
    weight_decay: float = 0.1
    """Weight decay of matrices; vectors and norms have none."""
    held_out: Fraction = 0.1
    """Fraction of the corpus held out to measure the loss on unseen text."""
    seed: int = 0
    """Random seed of the initial weights and of the training windows."""


class TaskCorpus(ConfigModel):
    """The training sequences of a task, without labels: letters, words, or numbers separated by spaces."""

    kind: Literal["task"]
    task: Name
    """Name of a file in config/tasks/."""


Corpus = Annotated[PythonTopicsDataset | FolderDataset | DownloadDataset | TaskCorpus, Field(discriminator="kind")]


class PretrainedHere(TitledModel):
    """A language model that the workflow pretrains itself."""

    kind: Literal["pretrain"]
    licence: str
    """Licence of the corpus."""
    corpus: Corpus
    """Training text: Python's documentation topics, files that end in .txt, .md or .tokens (WikiText), or a task's
    sequences."""
    architecture: str
    """Model type with a pretraining objective, such as `gpt2` or `bert`; see workflow/crossover/models/architectures/. Causal ones
    learn to predict the next token, masked ones to predict masked tokens; of an encoder-decoder only the encoder is used."""
    vocabulary: Annotated[int, Field(ge=257)]
    """Size of the byte-level BPE vocabulary, which is trained on the same corpus."""
    blocks: PositiveInt
    """Number of transformer blocks (layers)."""
    width: PositiveInt
    """Hidden size; must be a multiple of `heads`."""
    heads: PositiveInt
    """Attention heads per block; an LSTM has none."""
    positions: PositiveInt
    """Maximum sequence length, in tokens."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout probability for embeddings, attention and residual connections."""
    training: Pretraining
    """Settings of pretraining."""

    @model_validator(mode="after")
    def heads_divide_width(self) -> "PretrainedHere":
        """Raise unless the attention heads can share the hidden size equally."""
        if self.width % self.heads:
            raise ValueError("width must be a multiple of heads")
        return self

    @model_validator(mode="after")
    def context_fits_positions(self) -> "PretrainedHere":
        """Raise if training windows are longer than the model can read."""
        if self.training.context > self.positions:
            raise ValueError("training.context must not exceed positions")
        return self


class LocalCheckpoint(TitledModel):
    """A local folder in Hugging Face format, with config.json and model.safetensors."""

    kind: Literal["folder"]
    licence: str
    """Licence of the weights."""
    path: str
    """The folder, relative to the working directory."""


class HubCheckpoint(TitledModel):
    """A checkpoint of the Hugging Face hub at a pinned commit, downloaded once, before the runs that use it."""

    kind: Literal["hub"]
    licence: str
    """Licence of the weights."""
    id: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    """Id on the hub, such as openai-community/gpt2. The weights must be in a single model.safetensors."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    """Full commit hash. A branch is not accepted, since its weights could change."""


class DownloadedCheckpoint(TitledModel):
    """A checkpoint in Hugging Face format from any web address, for example inside an archive."""

    kind: Literal["download"]
    licence: str
    """Licence of the weights."""
    files: list[RemoteFile] = Field(min_length=1)
    """Files to download, or archives that contain them; the same keys as for a `download` dataset."""
    folder: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)*$")] = "."
    """Folder inside the downloaded files that contains config.json, model.safetensors and, if there is one,
    tokenizer.json."""

    @model_validator(mode="after")
    def folder_is_inside_files(self) -> "DownloadedCheckpoint":
        """Raise if the folder is outside the downloaded files, where nothing can be verified."""
        if ".." in self.folder.split("/"):
            raise ValueError("folder must be inside the downloaded files; remove the ..")
        return self


Checkpoint = Annotated[
    PretrainedHere | HubCheckpoint | DownloadedCheckpoint | LocalCheckpoint, Field(discriminator="kind")
]
