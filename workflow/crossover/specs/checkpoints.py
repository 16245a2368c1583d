"""Checkpoints: the weights that a run starts from."""

from typing import Literal

from crossover.config.checkpoints import Pretraining
from crossover.specs.base import Record, Spec


class CheckpointFiles(Record):
    """Where a checkpoint lies, as runs refer to it.

    Attributes:
        name: of its spec, or of a user's own folder with the hash of its content.
        folder: with config.json and model.safetensors.
        sha256: of a user's own folder.
        receipt: of the download that the folder lies in, where it does.
    """

    name: str
    folder: str
    sha256: str | None = None
    receipt: str | None = None


class PretrainedSpec(Spec):
    """A language model that the workflow pretrains; `corpus` names the spec of a dataset or of a task."""

    kind: Literal["checkpoint"] = "checkpoint"
    corpus: str
    architecture: str
    vocabulary: int
    blocks: int
    width: int
    heads: int
    positions: int
    dropout: float
    training: Pretraining


class HubSpec(Spec):
    """A checkpoint of the Hugging Face hub at a pinned commit."""

    kind: Literal["hub"] = "hub"
    id: str
    revision: str
