"""What planning needs to know of a checkpoint's architecture, before anything is loaded."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Literal

from crossover.config.checkpoints import ArchitectureOnly, BuiltModel, FetchedModel, PretrainedHere
from crossover.errors import UserError, nearest
from crossover.models.adapter import Adapter
from crossover.models.discovery import ADAPTERS
from crossover.specs.checkpoints import ModelSize

MASKED_VOCABULARY = 259  # the smallest of a masked model: 256 bytes, and three special tokens
USUAL = Adapter("", groups={}, blocks="", token_table="", dropouts=())  # the config keys that most architectures use


def check_architecture(name: str, checkpoint: PretrainedHere | ArchitectureOnly) -> None:
    """Raise unless a model of this architecture and size can be built.

    Args:
        name: of the file in config/checkpoints/.
        checkpoint: its content.

    Raises:
        UserError: the architecture is unknown or is not described by a size, or a setting does not fit it.
    """
    where, architecture = f"config/checkpoints/{name}.yaml", checkpoint.architecture
    known = sorted(model_type for model_type, adapter in ADAPTERS.items() if adapter.objective)
    if architecture in ADAPTERS.keys() - known:
        raise UserError(
            f"{where}: models of architecture {architecture} cannot be built here; choose {', '.join(known)}."
        )
    if architecture not in known:
        hint = nearest(architecture, known)
        every = "" if hint.startswith("known") else f" Known: {', '.join(known)}."
        raise UserError(f"{where}: unknown architecture {architecture}; {hint}{every}")
    adapter = ADAPTERS[architecture]
    if adapter.heads and "heads" not in checkpoint.model_fields_set:
        raise UserError(f"{where}: heads is missing: how many attention heads each block of {architecture} has.")
    if checkpoint.positions % adapter.window:
        raise UserError(
            f"{where}: positions must be a multiple of {adapter.window}, the attention window of {architecture}."
        )
    vocabulary = checkpoint.vocabulary if isinstance(checkpoint, PretrainedHere) else None
    if vocabulary and vocabulary < MASKED_VOCABULARY and adapter.objective == "masked":
        raise UserError(
            f"{where}: vocabulary must be at least {MASKED_VOCABULARY}: masked-token prediction needs 256 bytes and three "
            "special tokens."
        )


def declared_size(checkpoint: BuiltModel | FetchedModel) -> ModelSize:
    """Return the size that the file of a checkpoint declares."""
    return ModelSize(
        architecture=checkpoint.architecture,
        blocks=checkpoint.blocks,
        width=checkpoint.width,
        positions=None if checkpoint.positions == "unlimited" else checkpoint.positions,
    )


def stored_blocks(config: Mapping[str, Any], declared: int | None = None) -> int | None:
    """Return the number of blocks of a model that can be told apart.

    Args:
        config: the content of its config.json, or its model type alone.
        declared: the number that is known otherwise.

    Returns:
        The number; None where one block is applied several times, or where it is not known.
    """
    if ADAPTERS.get(str(config.get("model_type")), USUAL).shares_blocks:
        return None
    return declared or stored_size(config, "depth")


def stored_size(config: Mapping[str, Any], size: Literal["depth", "width", "positions"]) -> int | None:
    """Return one of the sizes of a model, from the content of its config.json.

    Returns:
        The size; None where the architecture has no such limit, and where the file leaves it to the architecture.
    """
    adapter = ADAPTERS.get(str(config.get("model_type")), USUAL)
    if size == "positions":
        return adapter.max_length(SimpleNamespace(**config))
    return config.get(getattr(adapter, size))
