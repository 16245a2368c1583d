"""The last block at the positions that the head reads alone.

What the last block makes of other positions is read by nobody: it needs their keys and values, but neither their queries nor
their feed-forward layers. Logits and gradients are those of the whole block, up to rounding.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class ReadPositions:
    """The positions that are read of a batch.

    Attributes:
        places: int64 [batch, read].
        lengths: int64 [batch], the real positions of each sequence.
    """

    places: Tensor
    lengths: Tensor

    def pick(self, states: Tensor) -> Tensor:
        """Return states [batch, longest, width] of the read positions, [batch, read, width]."""
        return states.gather(1, self._index(states))

    def put(self, read: Tensor, longest: int) -> Tensor:
        """Return states of the read positions, [batch, read, width], among zeros [batch, longest, width]."""
        states = read.new_zeros(read.shape[0], longest, read.shape[2])
        return states.scatter(1, self._index(read), read)

    def _index(self, states: Tensor) -> Tensor:
        return self.places[:, :, None].expand(-1, -1, states.shape[2])

    def rotated(self, query: Tensor, key: Tensor, embeddings: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return queries and keys with rotary positions (Su et al. 2021), each rotated by that of its place.

        Args:
            query: [batch, read, heads, head width].
            key: [batch, longest, heads of keys, head width].
            embeddings: cosines and sines, [1 or batch, longest, head width].
        """
        cosine, sine = (part.expand(len(key), -1, -1) for part in embeddings)
        return _rotate(query, self.pick(cosine), self.pick(sine)), _rotate(key, cosine, sine)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, dropout: float, causal: bool = False
    ) -> Tensor:
        """Return what the read positions attend to (Vaswani et al. 2017), before the output projection.

        Args:
            query: [batch, read, heads, head width].
            key: [batch, longest, heads of keys, head width]; several heads of queries may share one.
            value: as key.
            scale: of the products of queries and keys.
            dropout: of the attention weights.
            causal: whether a position sees only itself and those before it, instead of all real ones.

        Returns:
            [batch, read, heads * head width].
        """
        positions = torch.arange(key.shape[1], device=key.device)
        seen = positions <= self.places[:, :, None] if causal else positions < self.lengths[:, None, None]
        attended = functional.scaled_dot_product_attention(
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            attn_mask=seen[:, None],
            dropout_p=dropout,
            scale=scale,
            enable_gqa=query.shape[2] != key.shape[2],
        )
        return attended.transpose(1, 2).flatten(2)


def _rotate(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = vectors.chunk(2, dim=-1)
    return vectors * cosine[:, :, None] + torch.cat((-second, first), dim=-1) * sine[:, :, None]


class LastBlock:
    """Takes over the forward of a body's last block, and computes it whole unless it is told what is read."""

    def __init__(self, block: nn.Module, at_positions: Callable[..., Tensor]) -> None:
        """Take over.

        Args:
            block: the last one; its parameters and their names stay as they are.
            at_positions: an adapter's `last_block`.
        """
        self._block, self._whole, self._at_positions = block, block.forward, at_positions
        self._read: ReadPositions | None = None
        block.forward = self._forward

    @contextmanager
    def read_at(self, read: ReadPositions) -> Iterator[None]:
        """Compute only what is read until the context ends; elsewhere, the block returns zeros."""
        self._read = read
        try:
            yield
        finally:
            self._read = None

    def _forward(self, hidden_states: Tensor, *arguments: Any, **named: Any) -> Any:
        if self._read is None:
            return self._whole(hidden_states, *arguments, **named)
        read = self._at_positions(self._block, hidden_states, self._read, **named)
        return self._read.put(read, hidden_states.shape[1])
