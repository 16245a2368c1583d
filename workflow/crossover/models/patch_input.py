"""The linear input layer of a checkpoint that was pretrained on patches, in its model.safetensors beside the body.

transformers passes over it, as over any layer that is not part of the body, such as the head of a task.
"""

from pathlib import Path

from safetensors import safe_open
from torch import Tensor, nn

from crossover.errors import UserError
from crossover.specs.descriptions import EncoderFacts

WEIGHT, BIAS = "patch_input.weight", "patch_input.bias"


def patch_input_state(layer: nn.Linear) -> dict[str, Tensor]:
    """Return the tensors of an input layer by the names that they are saved under."""
    return {WEIGHT: layer.weight.detach(), BIAS: layer.bias.detach()}


def load_patch_input(folder: Path) -> nn.Linear | None:
    """Load the input layer of a checkpoint; None where it was not pretrained on patches.

    Args:
        folder: holds model.safetensors, from which the body has been loaded.
    """
    with safe_open(folder / "model.safetensors", "pt") as file:
        if not {WEIGHT, BIAS} <= set(file.keys()):
            return None
        weight, bias = file.get_tensor(WEIGHT), file.get_tensor(BIAS)
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def require_patches(layer: nn.Linear, encoding: EncoderFacts, folder: Path) -> nn.Linear:
    """Return the input layer of a checkpoint if it reads the patches of a task.

    Raises:
        UserError: the task has symbols, or patches of another size.
    """
    if encoding.width != layer.in_features:
        has = "symbols" if encoding.width is None else f"patches of {encoding.width} values"
        raise UserError(
            f"{folder} was pretrained on patches of {layer.in_features} values, but the task has {has}; choose input new, or "
            "another patch."
        )
    return layer
