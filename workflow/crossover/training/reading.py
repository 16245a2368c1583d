"""What a model reads: the files of a checkpoint, once they are checked, and items as tensors."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossover.acquire.receipt import recorded_digests
from crossover.encodings.tokens import Change, Tokens
from crossover.errors import UserError
from crossover.files import check_file, sha256, tree_digest


def check_checkpoint(checkpoint: dict[str, Any]) -> str:
    """Compare a checkpoint's files with the digests that were recorded when it was made or planned.

    Returns:
        The SHA-256 of its weights.

    Raises:
        UserError: the weights are missing, or a file has changed since.
    """
    folder = Path(checkpoint["folder"])
    if not (folder / "model.safetensors").is_file():
        raise UserError(
            f"{folder}/model.safetensors is missing; weights are read from safetensors alone: make or convert them."
        )
    if "sha256" in checkpoint:  # a user's own folder, read in place
        if tree_digest(folder) != checkpoint["sha256"]:
            raise UserError(f"{folder} has changed since this run was planned; run snakemake again.")
        return sha256(folder / "model.safetensors")
    record, recorded = recorded_digests(folder, checkpoint.get("receipt"))
    for name, digest in recorded.items():
        check_file(folder / name, digest, f"{record} describes", record.parent)
    return recorded["model.safetensors"]


def tensors_of(
    tokens: Tokens, indices: np.ndarray, device: torch.device, change: Change | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Items as a model reads them.

    Args:
        tokens: a split.
        indices: the items, int [batch].
        device: where to put them.
        change: applied to their stored values, such as an augmentation.

    Returns:
        values: symbols, int64 [batch, longest], or patches, float32 [batch, longest, width]; right padded.
        lengths: int64 [batch].
        targets: int64 [batch] or [batch, positions, bits], or float32 [batch].
    """
    values, _, targets = tokens.gather(indices, change)
    inputs = torch.from_numpy(values.astype(np.int64) if values.ndim == 2 else values).to(device)
    lengths = torch.from_numpy(tokens.lengths[indices]).to(device)
    wanted = targets if targets.dtype == np.float32 else targets.astype(np.int64)
    return inputs, lengths, torch.from_numpy(wanted).to(device)
