"""LoRA adapters of linear layers (Hu et al. 2022), made by the peft library."""

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from crossover.config.conditions import TrainedPart
from crossover.errors import UserError
from crossover.models.adapter import Adapter
from crossover.models.surgery import blocks_of, select_blocks

ADDED = ".lora_"  # in the names of the parameters of LoRA adapters
WRAPPED = ".base_layer"  # in the names of the parameters that they are added to


def add_lora(body: nn.Module, adapter: Adapter, part: TrainedPart, seed: int) -> None:
    """Add LoRA adapters to linear layers: products of two narrow matrices, of which the second starts at 0.

    Args:
        body: the model, changed in place; the names of the layers' own parameters get `base_layer` in them.
        adapter: the body's.
        part: the layers, and the rank and scaling of their adapters.
        seed: of the first matrices.

    Raises:
        UserError: the body does not have these blocks, or no linear layers in them without LoRA adapters.
    """
    from peft import LoraConfig, inject_adapter_in_model  # takes two seconds, which other runs do without

    assert part.lora is not None
    depth = len(blocks_of(body, adapter))
    blocks = select_blocks(part.blocks, depth, "trained") if part.blocks else None
    layers = [
        name
        for name, module in body.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
        and not (ADDED in name or WRAPPED in name)
        and adapter.group_of(f"{name}.weight") in part.groups
        and (blocks is None or adapter.block_of(f"{name}.weight") in blocks)
    ]
    if not layers:
        raise UserError(
            f"the model has no linear layers in {' and '.join(part.groups)} that lora could change; choose other groups."
        )
    transposed = isinstance(body.get_submodule(layers[0]), Conv1D)  # whose weights are [in, out]
    torch.manual_seed(seed)
    config = LoraConfig(
        r=part.lora.rank,
        lora_alpha=part.lora.alpha,  # type: ignore[arg-type]  # any number, as the product is scaled by alpha / r
        target_modules=layers,
        bias="none",
        fan_in_fan_out=transposed,
    )
    inject_adapter_in_model(config, body)


def original_name(parameter: str) -> tuple[str, bool]:
    """Return the name of a parameter without LoRA adapters, and whether it is one of theirs.

    A parameter of a LoRA adapter has the name of the weights that it is added to.
    """
    layer, added, _ = parameter.partition(ADDED)
    return (f"{layer}.weight" if added else parameter.replace(WRAPPED, "")), bool(added)
