"""The token embeddings of a body, which an input layer replaces."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from crossover.models.adapter import Adapter


class ZeroEmbedding(nn.Module):
    """A placeholder for token embeddings that returns zeros: Longformer embeds ids with them to pad its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, tokens: Tensor) -> Tensor:
        """Return zeros, float32 [..., width], for token ids of any shape."""
        return torch.zeros(*tokens.shape, self.width, device=tokens.device)


def detach_token_embedding(body: PreTrainedModel, adapter: Adapter) -> nn.Module:
    """Take the token embeddings (of a ViT, the patch embeddings) out of a body; return them, as the body scales them."""
    table: nn.Module = body.get_submodule(adapter.token_table)
    scale = adapter.token_scale(body.config)
    if scale != 1:
        with torch.no_grad():
            table.get_parameter("weight").mul_(scale)
    body.set_submodule(adapter.token_table, ZeroEmbedding(adapter.widths(body.config)[0]))
    return table
