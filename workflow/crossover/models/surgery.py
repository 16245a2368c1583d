"""Bodies that are made from a checkpoint's weights by changing them.

All changes act on tensors by their names, so that they mean the same in every architecture. ALBERT has one block, which it
applies several times: what changes in it changes at every depth.
"""

import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from crossover.errors import UserError
from crossover.models.architecture import Architecture, group_of

Settings = dict[str, Any]
DEVIATION = 0.02  # of the initial weights of BERT and GPT-2
# The code of Tamkin et al. (2020) calls scipy.stats.truncnorm(-2 * s, 2 * s, scale=s), whose limits are in units of the
# deviation: weights lie within 2 * s * s and are all but uniform there.
LIMITS = {"truncated-normal": 2 * DEVIATION, "tamkin2020": 2 * DEVIATION * DEVIATION}


def change_body(body: nn.Module, architecture: Architecture, settings: Settings, generator: torch.Generator) -> None:
    """Change the weights or the blocks of a body.

    Args:
        body: the model, changed in place.
        architecture: the view of it.
        settings: `kind`, and what `config.bodies` says of that kind.
        generator: where random draws come from.

    Raises:
        UserError: the settings name blocks that the body does not have.
    """
    with torch.no_grad():
        CHANGES[settings["kind"]](body, architecture, settings, generator)


def _statistics(body: nn.Module, architecture: Architecture, settings: Settings, generator: torch.Generator) -> None:
    """Each tensor drawn anew with its own mean and deviation (Lu et al. 2021, section 4.8)."""
    for parameter in body.parameters():
        deviation = parameter.std(unbiased=False)
        parameter.copy_(parameter.mean() + deviation * _normal(parameter, generator))


def _reinit(body: nn.Module, architecture: Architecture, settings: Settings, generator: torch.Generator) -> None:
    """Chosen blocks drawn anew (Tamkin et al. 2020, section 3).

    Their code draws the weights of linear layers, sets norms to 1 and 0, and keeps biases.
    """
    chosen = chosen_blocks(settings["blocks"], len(blocks_of(body, architecture)), "body reinit")
    limit = LIMITS[settings["weights"]]
    for name, parameter in body.named_parameters():
        group = group_of(architecture, name)
        if block_of(name, architecture) not in chosen or group == "positions":
            continue
        if group == "norms":
            if settings["norms"] == "redrawn":
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        elif parameter.dim() == 1:
            if settings["biases"] == "redrawn":
                parameter.zero_()
        else:
            nn.init.trunc_normal_(parameter, 0.0, DEVIATION, -limit, limit, generator=generator)


def _permuted(body: nn.Module, architecture: Architecture, settings: Settings, generator: torch.Generator) -> None:
    """The blocks in another order (Tamkin et al. 2020, section 5), drawn from the setting's own seed."""
    order = permutation(len(blocks_of(body, architecture)), settings["seed"])
    move_blocks(body, architecture, order)


def permutation(blocks: int, seed: int) -> list[int]:
    """A seeded order of blocks: which block stands at each place. It is the one that Tamkin et al.'s code draws."""
    return np.random.RandomState(seed).permutation(blocks).tolist()


def move_blocks(body: nn.Module, architecture: Architecture, order: list[int]) -> None:
    """Put the weights of block `order[i]` in the place of block i; what only one block has stays (T5's relative positions)."""
    blocks = blocks_of(body, architecture)
    before = [{name: tensor.clone() for name, tensor in block.named_parameters()} for block in blocks]
    with torch.no_grad():
        for block, source in zip(blocks, order, strict=True):
            for name, parameter in block.named_parameters():
                if name in before[source]:
                    parameter.copy_(before[source][name])


def _truncated(body: nn.Module, architecture: Architecture, settings: Settings, generator: torch.Generator) -> None:
    """The first blocks alone (Tamkin et al. 2020, section 4: probing; Lu et al. 2021, section 4.10: depth)."""
    blocks = blocks_of(body, architecture)
    depth = getattr(body.config, architecture.depth)
    if settings["blocks"] > depth:
        raise UserError(f"body truncated asks for {settings['blocks']} blocks, but the checkpoint has {depth}.")
    if len(blocks) == depth:  # else one block is applied several times
        body.set_submodule(architecture.blocks, nn.ModuleList(list(blocks)[: settings["blocks"]]))
    for name, value in list(vars(body.config).items()):
        if isinstance(value, list) and len(value) == depth:  # what is set for each block, such as Longformer's windows
            setattr(body.config, name, value[: settings["blocks"]])
    setattr(body.config, architecture.depth, settings["blocks"])


def keep_groups(body: nn.Module, source: nn.Module, groups: list[str], architecture: Architecture) -> None:
    """Copy the parameters of some groups from one body into another (Kao & Lee 2021, `pretrain_embed`)."""
    with torch.no_grad():
        for (name, parameter), kept in zip(body.named_parameters(), source.parameters(), strict=True):
            if group_of(architecture, name) in groups:
                parameter.copy_(kept)


CHANGES: dict[str, Callable[[nn.Module, Architecture, Settings, torch.Generator], None]] = {
    "statistics": _statistics,
    "reinit": _reinit,
    "permuted": _permuted,
    "truncated": _truncated,
}


def chosen_blocks(settings: Settings, blocks: int, what: str) -> set[int]:
    """The numbers of the blocks that are meant, counted from 0.

    Args:
        settings: `which`, `count` and `start`.
        blocks: how many there are.
        what: names them, for an error.

    Raises:
        UserError: there are not as many.
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


def blocks_of(body: nn.Module, architecture: Architecture) -> nn.ModuleList:
    """The transformer blocks of a body."""
    return cast(nn.ModuleList, body.get_submodule(architecture.blocks))


def block_of(parameter: str, architecture: Architecture) -> int | None:
    """The number of the block that has a parameter of a body, by its name; None outside of the blocks."""
    found = re.match(rf"{re.escape(architecture.blocks)}\.(\d+)\.", parameter)
    return int(found[1]) if found else None


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.empty_like(like).normal_(generator=generator)
