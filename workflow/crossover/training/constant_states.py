"""States that the training does not change, computed once for each item instead of at each step.

Where only the head is trained, they are what it reads; where the first trained block is a later one, they are the states before
it. The training goes on from them as from any other items: as `Tokens` whose values are states.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from crossover.encodings.tokens import Tokens
from crossover.models.derive import adapter_for
from crossover.models.module import SequenceModel
from crossover.training.collate import collate
from crossover.training.loop import slices

LARGEST_MB = 512  # of the states of all items
ITEMS = 64  # of a forward pass

Network = Callable[[Tensor, Tensor], Tensor]  # from values and lengths to logits, as SequenceModel.forward


@dataclass(frozen=True)
class ConstantStates:
    """The first part of a model, which nothing that is trained has a part in.

    Attributes:
        model: the whole.
        blocks: the blocks of its body.
        depth: how many of them are constant; None where only the head is not.
        width: of what enters the body.
    """

    model: SequenceModel
    blocks: nn.ModuleList
    depth: int | None
    width: int

    def network(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits from states as `tokens` has them, with the gradients of the rest of the model."""
        with torch.autocast(states.device.type, torch.bfloat16, enabled=self.model.mixed):
            if self.depth is None:
                return self.model.answer(states)
            nothing = states.new_zeros(1).expand(*states.shape[:2], self.width)  # enters blocks that are skipped
            symbols = torch.zeros(states.shape[:2], dtype=torch.int64, device=states.device)
            with self._replaced_by(states):
                return self.model.answer(self.model.features(symbols, lengths, inputs_embeds=nothing))

    @torch.no_grad()
    def tokens(self, tokens: Tokens, device: torch.device) -> Tokens:
        """Return the items of a split with their states as values, float32 [positions of all, width]."""
        lengths = self._lengths(tokens)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        values = np.empty((offsets[-1], self.model.head.in_features), dtype=np.float32)
        order = np.argsort(tokens.lengths, kind="stable")  # neighbours of one length need no padding
        for part in slices(len(tokens), ITEMS):
            inputs, real, _ = collate(tokens, order[part], device)
            for item, states in zip(order[part], self._states(inputs, real).cpu().numpy(), strict=True):
                values[offsets[item] : offsets[item + 1]] = states[: lengths[item]]
        return replace(
            tokens, values=values, offsets=offsets[:-1], lengths=lengths, scaling=None, padding=0, unpadded=None
        )

    def fits(self, splits: Iterable[Tokens]) -> bool:
        """Return whether the states of some splits fit into the memory that there is for them."""
        positions = sum(int(self._lengths(tokens).sum()) for tokens in splits)
        return positions * self.model.head.in_features * 4 <= LARGEST_MB * 2**20

    def _lengths(self, tokens: Tokens) -> np.ndarray:
        return np.full_like(tokens.lengths, self.model.positions) if self.depth is None else tokens.lengths

    def _states(self, values: Tensor, lengths: Tensor) -> Tensor:
        with torch.autocast(values.device.type, torch.bfloat16, enabled=self.model.mixed):
            if self.depth is None:
                return self.model.features(values, lengths).float()
            return entering(self.model, self.blocks, values, lengths)[self.depth].float()

    @contextmanager
    def _replaced_by(self, states: Tensor) -> Iterator[None]:
        """Skip the constant blocks until the context ends: the last of them returns the states."""
        skipped = list(self.blocks)[: self.depth]
        forwards = [block.forward for block in skipped]
        for block in skipped:
            block.forward = lambda hidden_states, *arguments, **named: states
        try:
            yield
        finally:
            for block, forward in zip(skipped, forwards, strict=True):
                block.forward = forward


def constant_states(model: SequenceModel, items: Tokens, device: torch.device) -> ConstantStates | None:
    """Return the constant part of a model in training, or None if there is none or dropout makes it vary.

    Args:
        model: with the parameters that are trained set.
        items: the training split.
        device: where the model is.
    """
    adapter = adapter_for(model.body.config)
    if any(getattr(model.body.config, name) for name in adapter.dropouts) or isinstance(
        model.input_dropout, nn.Dropout
    ):
        return None
    width = adapter.widths(model.body.config)[0]
    blocks = model.body.get_submodule(adapter.blocks)
    assert isinstance(blocks, nn.ModuleList)
    values, lengths, _ = collate(items, np.arange(1), device)
    with torch.autocast(device.type, torch.bfloat16, enabled=model.mixed):
        if not model.features(values, lengths).requires_grad:
            return ConstantStates(model, blocks, None, width)
        if adapter.last_block is None:  # blocks may take and return other things than states
            return None
        constant = sum(not states.requires_grad for states in entering(model, blocks, values, lengths)) - 1
    return ConstantStates(model, blocks, constant, width) if constant > 0 else None


def entering(model: SequenceModel, blocks: nn.ModuleList, values: Tensor, lengths: Tensor) -> list[Tensor]:
    """Return the states that enter each block, [batch, longest, width]."""
    found: list[Tensor] = []
    hooks = [block.register_forward_pre_hook(lambda _, arguments: found.append(arguments[0])) for block in blocks]
    try:
        model.read(values, lengths)
    finally:
        for hook in hooks:
            hook.remove()
    return found
