"""What the output layer reads: hidden states at some positions, and the pooler in between."""

from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PretrainedConfig

from crossover.errors import UserError
from crossover.models.adapter import Adapter
from crossover.models.last_block import ReadPositions


class Pooler(nn.Module):
    """A dense layer and tanh (Devlin et al. 2019), between what is read and the output layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, states: Tensor) -> Tensor:
        """Pool states [..., width]."""
        pooled: Tensor = self.dense(states).tanh()
        return pooled


Read = Literal["last", "cls", "mean", "last-position"]


def read_positions(lengths: Tensor, read: Read, positions: int) -> ReadPositions | None:
    """Return the positions that the output layer reads; None where it reads the mean of all.

    Args:
        lengths: int64 [batch], the real positions of each sequence; where padding is read, it counts as real.
        read: which positions; `last-position` is `last` where all positions are real.
        positions: how many of the last ones are read; 1 for the first one, and for the mean.
    """
    match read:
        case "mean":
            return None
        case "cls":
            return ReadPositions(torch.zeros_like(lengths)[:, None], lengths)
    back = torch.arange(-positions, 0, device=lengths.device)
    return ReadPositions(lengths[:, None] + back, lengths)


def read_states(states: Tensor, lengths: Tensor, read: Read, positions: int) -> Tensor:
    """Select from states [batch, longest, width] what the output layer reads, [batch, positions, width].

    Args:
        states: of each position; those of padding are never read.
        lengths: as in `read_positions`.
        read: as in `read_positions`.
        positions: as in `read_positions`.
    """
    at = read_positions(lengths, read, positions)
    if at is not None:
        return at.pick(states)
    real = (torch.arange(states.shape[1], device=states.device) < lengths[:, None])[:, :, None]
    return states.masked_fill(~real, 0.0).sum(1, keepdim=True) / lengths[:, None, None]


def random_pooler(config: PretrainedConfig, adapter: Adapter) -> Pooler:
    """Return a pooler as the architecture initialises its own, drawn from torch's global generator.

    Raises:
        UserError: the architecture has none.
    """
    _require_pooler(adapter)
    pooler = Pooler(adapter.widths(config)[1])
    nn.init.normal_(pooler.dense.weight, std=config.initializer_range)
    nn.init.zeros_(pooler.dense.bias)
    return pooler


def load_pooler(folder: Path, config: PretrainedConfig, adapter: Adapter) -> Pooler:
    """Load the pooler of a checkpoint.

    Args:
        folder: holds model.safetensors, from which the body has been loaded.
        config: the checkpoint's.
        adapter: the body's.

    Raises:
        UserError: the architecture has none, or the file.
    """
    name = _require_pooler(adapter)
    pooler = Pooler(adapter.widths(config)[1])
    with safe_open(folder / "model.safetensors", "pt") as file, torch.no_grad():
        for part, parameter in pooler.dense.named_parameters():
            found = [key for key in file.keys() if f".{key}".endswith(f".{name}.{part}")]  # noqa: SIM118  (no mapping)
            stored = file.get_tensor(found[0]) if found else None
            if stored is None or stored.shape != parameter.shape:
                raise UserError(
                    f"{folder}/model.safetensors has no {name}.{part} of shape {list(parameter.shape)}, which head.pooler asks "
                    "for; set head.pooler to new or none, or take another checkpoint."
                )
            parameter.copy_(stored)
    return pooler


def _require_pooler(adapter: Adapter) -> str:
    if adapter.pooler is None:
        raise UserError(
            f"crossover knows no pooler of the architecture {adapter.model_type}, which head.pooler asks for; set it to new or none."
        )
    return adapter.pooler
