"""The config of a model that has a size, but no weights."""

from pathlib import Path

from transformers import AutoConfig

from crossover.files import sha256
from crossover.models.discovery import ADAPTERS
from crossover.specs.checkpoints import ArchitectureSpec
from crossover.specs.descriptions import CheckpointDescription


def describe_architecture(spec: ArchitectureSpec, folder: Path) -> None:
    """Write config.json and, last, checkpoint.json with its SHA-256. What the spec does not say is as the architecture has it."""
    adapter = ADAPTERS[spec.architecture]
    adapter.register()
    size = adapter.pretraining_config(spec.blocks, spec.width, spec.heads, spec.positions, spec.dropout)
    vocabulary = {"vocab_size": spec.vocabulary} if spec.vocabulary else {}
    AutoConfig.for_model(adapter.model_type, **size, **vocabulary).save_pretrained(folder)
    digests = {"config.json": sha256(folder / "config.json")}
    CheckpointDescription(name=spec.name, sha256=digests).write(folder / "checkpoint.json")
