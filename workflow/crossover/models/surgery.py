"""Change the weights and blocks of a checkpoint's body.

All changes are by the names of parameters, so that they mean the same in every architecture. ALBERT has one block, which it
applies several times: what changes in it changes at every depth.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from crossover.errors import UserError
from crossover.models.adapter import Adapter

STD = 0.02  # standard deviation of the initial weights of BERT and GPT-2
# The code of Tamkin et al. (2020) calls scipy.stats.truncnorm(-2 * s, 2 * s, scale=s), whose limits are in units of the
# standard deviation: weights lie within 2 * s * s and are all but uniform there.
LIMITS = {"truncated-normal": 2 * STD, "tamkin2020": 2 * STD * STD}


def change_body(body: nn.Module, adapter: Adapter, settings: dict[str, Any], generator: torch.Generator) -> None:
    """Change the weights or the blocks of a body in place.

    Args:
        body: the model.
        adapter: the body's.
        settings: `kind`, and what `config.bodies` says of that kind.
        generator: where random draws come from.

    Raises:
        UserError: the settings name blocks that the body does not have.
    """
    with torch.no_grad():
        CHANGES[settings["kind"]](body, adapter, settings, generator)


def _statistics(body: nn.Module, adapter: Adapter, settings: dict[str, Any], generator: torch.Generator) -> None:
    """Redraw each tensor from a normal distribution with its own mean and standard deviation (Lu et al. 2021, 4.8)."""
    for parameter in body.parameters():
        std = parameter.std(unbiased=False)
        parameter.copy_(parameter.mean() + std * _normal(parameter, generator))


def _reinit(body: nn.Module, adapter: Adapter, settings: dict[str, Any], generator: torch.Generator) -> None:
    """Reinitialise chosen blocks (Tamkin et al. 2020, section 3).

    As in their code, the weights of linear layers are drawn, norms are set to 1 and 0, and biases are kept; the settings
    may keep norms or redraw biases.
    """
    chosen = select_blocks(settings["blocks"], len(blocks_of(body, adapter)), "body reinit")
    limit = LIMITS[settings["weights"]]
    for name, parameter in body.named_parameters():
        group = adapter.group_of(name)
        if adapter.block_of(name) not in chosen or group == "positions":
            continue
        if group == "norms":
            if settings["norms"] == "redrawn":
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        elif parameter.dim() == 1:
            if settings["biases"] == "redrawn":
                parameter.zero_()
        else:
            nn.init.trunc_normal_(parameter, 0.0, STD, -limit, limit, generator=generator)


def _permuted(body: nn.Module, adapter: Adapter, settings: dict[str, Any], generator: torch.Generator) -> None:
    """Permute the blocks (Tamkin et al. 2020, section 5) with the setting's own seed."""
    reorder_blocks(body, adapter, block_order(len(blocks_of(body, adapter)), settings["seed"]))


def block_order(blocks: int, seed: int) -> list[int]:
    """Draw a permutation: the block at each place. It is the one that Tamkin et al.'s code draws."""
    order: list[int] = np.random.RandomState(seed).permutation(blocks).tolist()
    return order


def reorder_blocks(body: nn.Module, adapter: Adapter, order: list[int]) -> None:
    """Copy the weights of block `order[i]` into block i.

    A parameter that only one block has stays there, such as T5's relative positions.
    """
    blocks = blocks_of(body, adapter)
    before = [{name: tensor.clone() for name, tensor in block.named_parameters()} for block in blocks]
    with torch.no_grad():
        for block, source in zip(blocks, order, strict=True):
            for name, parameter in block.named_parameters():
                if name in before[source]:
                    parameter.copy_(before[source][name])


def _truncated(body: nn.Module, adapter: Adapter, settings: dict[str, Any], generator: torch.Generator) -> None:
    """Keep the first blocks only (Tamkin et al. 2020, section 4: probing; Lu et al. 2021, section 4.10: depth)."""
    blocks = blocks_of(body, adapter)
    depth = getattr(body.config, adapter.depth)
    if settings["blocks"] > depth:
        raise UserError(f"body truncated asks for {settings['blocks']} blocks, but the checkpoint has {depth}.")
    if len(blocks) == depth:  # else one block is applied several times
        body.set_submodule(adapter.blocks, nn.ModuleList(list(blocks)[: settings["blocks"]]))
    for name, value in list(vars(body.config).items()):
        if isinstance(value, list) and len(value) == depth:  # one value for each block, such as Longformer's windows
            setattr(body.config, name, value[: settings["blocks"]])
    setattr(body.config, adapter.depth, settings["blocks"])


def copy_groups(body: nn.Module, source: nn.Module, groups: list[str], adapter: Adapter) -> None:
    """Copy the parameters of some groups from one body into another (Kao & Lee 2021, `pretrain_embed`)."""
    with torch.no_grad():
        for (name, parameter), kept in zip(body.named_parameters(), source.parameters(), strict=True):
            if adapter.group_of(name) in groups:
                parameter.copy_(kept)


CHANGES: dict[str, Callable[[nn.Module, Adapter, dict[str, Any], torch.Generator], None]] = {
    "statistics": _statistics,
    "reinit": _reinit,
    "permuted": _permuted,
    "truncated": _truncated,
}


def select_blocks(settings: dict[str, Any], blocks: int, what: str) -> set[int]:
    """Return the numbers of the chosen blocks, counted from 0.

    Args:
        settings: `which`, `count` and `start`.
        blocks: number of blocks of the body.
        what: the setting's name, for an error.

    Raises:
        UserError: the body does not have as many.
    """
    count, start = settings["count"], settings["start"]
    if start + count > blocks:
        raise UserError(f"{what} names blocks {start} to {start + count - 1}, but the checkpoint has {blocks}.")
    every = range(blocks)
    match settings["which"]:
        case "first":
            return set(every[:count])
        case "last":
            return set(every[blocks - count :])
        case "window":
            return set(every[start : start + count])
    return set(every) - set(every[start : start + count])


def blocks_of(body: nn.Module, adapter: Adapter) -> nn.ModuleList:
    """Return the transformer blocks of a body."""
    return cast(nn.ModuleList, body.get_submodule(adapter.blocks))


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.empty_like(like).normal_(generator=generator)
