"""The size of a checkpoint's model."""

from pathlib import Path

from crossover.models.derive import adapter_for
from crossover.models.load import load_config
from crossover.specs.checkpoints import ModelSize


def read_size(folder: Path) -> ModelSize:
    """Return the size of the model that a config.json describes, without loading its weights.

    Raises:
        UserError: the file is missing or damaged, or its architecture is not supported.
    """
    config = load_config(folder)
    adapter = adapter_for(config)
    return ModelSize(
        architecture=config.model_type,
        blocks=getattr(config, adapter.depth),
        width=adapter.widths(config)[1],
        positions=adapter.max_length(config),
    )
