"""Items of a split as the tensors of a batch."""

import numpy as np
import torch
from torch import Tensor

from crossover.encodings.tokens import Change, Tokens


def collate(
    tokens: Tokens, indices: np.ndarray, device: torch.device, change: Change | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return items as a model reads them.

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
