"""Low-rank changes of linear layers (LoRA, Hu et al. 2022), made by the peft library."""

from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from crossover.errors import UserError
from crossover.models.architecture import Architecture, group_of
from crossover.models.surgery import block_of, blocks_of, chosen_blocks

BESIDE = ".lora_"  # in the names of the parameters that are added
WITHIN = ".base_layer"  # in the names of those that were there


def add_lora(body: nn.Module, architecture: Architecture, part: dict[str, Any], seed: int) -> None:
    """Add to linear layers the product of two narrow matrices, of which the second begins at 0: at first nothing changes.

    Args:
        body: the model, changed in place; its own parameters get `base_layer` into their names.
        architecture: the view of it.
        part: `groups`, `blocks` (None for all), and `lora` with `rank` and `alpha`; the product is weighted by alpha / rank.
        seed: of the first matrices.

    Raises:
        UserError: there are no such blocks, or no linear layers in them that have no such changes yet.
    """
    from peft import LoraConfig, inject_adapter_in_model  # takes two seconds, which other runs do without

    depth = len(blocks_of(body, architecture))
    blocks = chosen_blocks(part["blocks"], depth, "trained") if part["blocks"] else None
    layers = [
        name
        for name, module in body.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
        and not (BESIDE in name or WITHIN in name)
        and group_of(architecture, f"{name}.weight") in part["groups"]
        and (blocks is None or block_of(name, architecture) in blocks)
    ]
    if not layers:
        raise UserError(
            f"the model has no linear layers in {' and '.join(part['groups'])} that lora could change; choose other groups."
        )
    by_input = isinstance(body.get_submodule(layers[0]), Conv1D)  # whose weights are [in, out]
    torch.manual_seed(seed)
    config = LoraConfig(
        r=part["lora"]["rank"],
        lora_alpha=part["lora"]["alpha"],
        target_modules=layers,
        bias="none",
        fan_in_fan_out=by_input,
    )
    inject_adapter_in_model(config, body)


def layer_of(parameter: str) -> tuple[str, bool]:
    """The name that a parameter has, or its layer's weights have, without such changes; and whether it is one of them."""
    layer, added, _ = parameter.partition(BESIDE)
    return (f"{layer}.weight" if added else parameter.replace(WITHIN, "")), bool(added)
