"""Change the weights and blocks of a checkpoint's body.

All changes are by the names of parameters, so that they mean the same in every architecture. ALBERT has one block, which it
applies several times: what changes in it changes at every depth.
"""

from collections.abc import Collection
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from crossover.config.bodies import BlockSelection, MimeticBody, PermutedBody, ReinitBody, StatisticsBody, TruncatedBody
from crossover.errors import UserError
from crossover.models.adapter import Adapter
from crossover.models.initialisation import set_mimetic

STD = 0.02  # standard deviation of the initial weights of BERT and GPT-2
# The code of Tamkin et al. (2020) calls scipy.stats.truncnorm(-2 * s, 2 * s, scale=s), whose limits are in units of the
# standard deviation: weights lie within 2 * s * s and are all but uniform there.
LIMITS = {"truncated-normal": 2 * STD, "tamkin2020": 2 * STD * STD}

Surgery = StatisticsBody | MimeticBody | ReinitBody | PermutedBody | TruncatedBody


def change_body(body: nn.Module, adapter: Adapter, settings: Surgery, generator: torch.Generator) -> None:
    """Change the weights or the blocks of a body in place.

    Args:
        body: the model.
        adapter: the body's.
        settings: the condition's body.
        generator: where random draws come from.

    Raises:
        UserError: the settings name blocks that the body does not have, or do not fit its attention.
    """
    with torch.no_grad():
        match settings:
            case StatisticsBody():
                _redraw(body, generator)
            case MimeticBody():
                set_mimetic(body, blocks_of(body, adapter), adapter, generator)
            case ReinitBody():
                _reinitialise(body, adapter, settings, generator)
            case PermutedBody(seed=int(seed)):
                reorder_blocks(body, adapter, block_order(len(blocks_of(body, adapter)), seed))
            case TruncatedBody(blocks=blocks):
                _truncate(body, adapter, blocks)


def _redraw(body: nn.Module, generator: torch.Generator) -> None:
    """Redraw each tensor from a normal distribution with its own mean and standard deviation (Lu et al. 2021, 4.8)."""
    for parameter in body.parameters():
        std = parameter.std(unbiased=False)
        parameter.copy_(parameter.mean() + std * _normal(parameter, generator))


def _reinitialise(body: nn.Module, adapter: Adapter, settings: ReinitBody, generator: torch.Generator) -> None:
    """Reinitialise chosen blocks (Tamkin et al. 2020, section 3).

    As in their code, the weights of linear layers are drawn, norms are set to 1 and 0, and biases are kept; the settings
    may keep norms or redraw biases.
    """
    chosen = select_blocks(settings.blocks, len(blocks_of(body, adapter)), "body reinit")
    limit = LIMITS[settings.weights]
    for name, parameter in body.named_parameters():
        group = adapter.group_of(name)
        if adapter.block_of(name) not in chosen or group == "positions":
            continue
        if group == "norms":
            if settings.norms == "redrawn":
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        elif parameter.dim() == 1:
            if settings.biases == "redrawn":
                parameter.zero_()
        else:
            nn.init.trunc_normal_(parameter, 0.0, STD, -limit, limit, generator=generator)


def block_order(blocks: int, seed: int) -> list[int]:
    """Draw a permutation, the block at each place, as the code of Tamkin et al. (2020, section 5) does."""
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


def _truncate(body: nn.Module, adapter: Adapter, kept: int) -> None:
    """Keep the first blocks only (Tamkin et al. 2020, section 4: probing; Lu et al. 2021, section 4.10: depth)."""
    blocks = blocks_of(body, adapter)
    depth: int = getattr(body.config, adapter.depth)
    if kept > depth:
        raise UserError(f"body truncated asks for {kept} blocks, but the checkpoint has {depth}.")
    if len(blocks) == depth:  # else one block is applied several times
        body.set_submodule(adapter.blocks, nn.ModuleList(list(blocks)[:kept]))
    keep_blocks(body.config, adapter, kept)


def keep_blocks(config: PretrainedConfig, adapter: Adapter, kept: int) -> None:
    """Let a config describe a model with the first blocks only."""
    depth = getattr(config, adapter.depth)
    for name, value in list(vars(config).items()):
        # one value for each block, such as Longformer's windows; the others are height and width of a ViT's images
        if isinstance(value, list) and len(value) == depth and not name.endswith("_size"):
            setattr(config, name, value[:kept])
    setattr(config, adapter.depth, kept)


def copy_groups(body: nn.Module, source: nn.Module, groups: Collection[str], adapter: Adapter) -> None:
    """Copy the parameters of some groups from one body into another (Kao & Lee 2021, `pretrain_embed`)."""
    with torch.no_grad():
        for (name, parameter), kept in zip(body.named_parameters(), source.parameters(), strict=True):
            if adapter.group_of(name) in groups:
                parameter.copy_(kept)


def select_blocks(selection: BlockSelection, blocks: int, what: str) -> set[int]:
    """Return the numbers of the chosen blocks, counted from 0.

    Args:
        selection: which blocks are chosen.
        blocks: number of blocks of the body.
        what: the setting's name, for an error.

    Raises:
        UserError: the body does not have as many.
    """
    count, start = selection.count, selection.start
    if start + count > blocks:
        raise UserError(f"{what} names blocks {start} to {start + count - 1}, but the checkpoint has {blocks}.")
    every = range(blocks)
    match selection.which:
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
