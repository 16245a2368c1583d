"""The module that a run trains: an input layer, a transformer body, and a head."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from crossover.config.heads import Head
from crossover.models.adapter import Adapter
from crossover.models.heads import Pooler, read_positions, read_states
from crossover.models.last_block import LastBlock
from crossover.specs.descriptions import EncodedTarget

PLAIN_HEAD = Head()


class SequenceModel(nn.Module):
    """A model from sequences to the logits of a target.

    By default the head reads the hidden states of the last real positions of each sequence, never of padding: the last position
    for a class or a number, the last `positions` ones for bits (Lu et al. 2021, section 2.2).

    Attributes:
        read_settings: what the head reads, and through what.
        separator: the symbol that ends the first segment of a sequence; None where the body has no segments.
        rates: the trained parameters by name, each with its multiple of the learning rate.
        mixed: whether matrix products are computed in bf16.
        whole: whether the last block is computed at all positions, also where the head reads only some.
    """

    def __init__(
        self,
        body: PreTrainedModel,
        input_layer: nn.Module,
        target: EncodedTarget,
        adapter: Adapter,
        separator: int | None = None,
        input_dropout: float = 0.0,
        head: Head = PLAIN_HEAD,
        pooler: Pooler | None = None,
    ) -> None:
        """Put the parts together, and draw the head and a new pooler from torch's global generator.

        Args:
            body: without token embeddings.
            input_layer: from what items are to what the body takes.
            target: what is predicted.
            adapter: the body's.
            separator: the symbol that ends the first segment of a sequence.
            input_dropout: behind the input layer.
            head: what the head reads, and through what.
            pooler: of the checkpoint, or drawn as the body; None where `head` asks for a new one or none.
        """
        super().__init__()
        self.input = input_layer
        self.input_dropout = nn.Dropout(input_dropout) if input_dropout else nn.Identity()
        self.body = body
        self.separator = separator if adapter.has_segments(body.config) else None
        self.positions = target.positions
        self.shape = _output_shape(target)
        width = adapter.widths(body.config)[1]
        self.head = nn.Linear(width, math.prod(self.shape))
        self.read_settings = head
        self.pooler = Pooler(width) if head.pooler == "new" else pooler or nn.Identity()
        self.head_dropout = nn.Dropout(head.dropout) if head.dropout else nn.Identity()
        self.rates: dict[str, float] = {}
        self.mixed = False
        self.whole = False
        blocks = body.get_submodule(adapter.blocks)
        assert isinstance(blocks, nn.ModuleList)
        self._last_block = LastBlock(blocks[-1], adapter.last_block) if adapter.last_block else None

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits.

        Args:
            values: symbols as int64 [batch, longest], or patches as float32 [batch, longest, width]; right padded.
            lengths: int64 [batch], the real positions of each sequence.

        Returns:
            Logits, float32 [batch, classes] or [batch, positions, bits, 2]; for a number, the prediction [batch, 1].
        """
        with torch.autocast(values.device.type, torch.bfloat16, enabled=self.mixed):
            return self.answer(self.features(values, lengths))

    def features(self, values: Tensor, lengths: Tensor, **options: Any) -> Tensor:
        """Compute what the head reads of sequences, as in `forward` and `read`; float32 [batch, positions, width]."""
        with self._reading(lengths):
            states = self.read(values, lengths, **options).last_hidden_state
        return self.read_out(states, lengths)

    def answer(self, features: Tensor) -> Tensor:
        """Compute logits, as in `forward`, from what the head reads."""
        logits: Tensor = self.head(self.head_dropout(self.pooler(features))).float().unflatten(-1, self.shape)
        return logits[:, 0] if len(self.shape) == 1 else logits

    def read(self, values: Tensor, lengths: Tensor, **options: Any) -> Any:
        """Pass sequences through the input layer and the body.

        Args:
            values: as in `forward`.
            lengths: as in `forward`.
            options: further or other arguments of the body, such as `output_hidden_states=True`.

        Returns:
            The body's output; its `last_hidden_state` is float32 [batch, longest, width].
        """
        mask = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
        arguments = {"attention_mask": mask.long()}
        if "inputs_embeds" not in options:
            arguments["inputs_embeds"] = self.input_dropout(self.input(values))
        if self.separator is not None:
            arguments["token_type_ids"] = segment_ids(values, self.separator)
        return self.body(**arguments | options)

    def read_out(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Select from states [batch, longest, width] what the head reads, [batch, positions, width]."""
        return read_states(states, lengths, self.read_settings.read, self.positions)

    def _reading(self, lengths: Tensor) -> AbstractContextManager[None]:
        """Have the last block compute only what is read, where that is less than all and the architecture allows it."""
        read = read_positions(lengths, self.read_settings.read, self.positions)
        return nullcontext() if self.whole or read is None or not self._last_block else self._last_block.read_at(read)


def segment_ids(symbols: Tensor, separator: int) -> Tensor:
    """Return the segment of each position, int64 [batch, longest]: 0 up to the first separator and 1 after it."""
    ends = (symbols == separator).long()
    return (ends.cumsum(1) - ends).clamp(max=1)


def _output_shape(target: EncodedTarget) -> tuple[int, ...]:
    """Return the shape of the logits at one position: [classes], [bits, 2], or [1] for a number."""
    if target.classes is not None:
        return (len(target.classes),)
    return (1,) if target.bits is None else (target.bits, 2)
