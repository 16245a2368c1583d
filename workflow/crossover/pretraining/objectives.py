"""Objectives of language models: predict the next token, or masked tokens."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from crossover.training.loop import slices

# Devlin et al. (2019, section 3.1): 15 % of the tokens are predicted; most of these are masked, and the others are
# replaced by a random token, or left as they are.
PREDICTED, MASKED, REPLACED = 0.15, 0.8, 0.1
IGNORE_INDEX = -100  # label of positions that are not predicted
EVALUATION_WINDOWS = 32  # per batch

Objective = Callable[[np.ndarray, np.random.Generator, bool], tuple[np.ndarray, np.ndarray]]


def next_token(windows: np.ndarray, rng: np.random.Generator, training: bool) -> tuple[np.ndarray, np.ndarray]:
    """Predict each token from those before it (Radford et al. 2019).

    Args:
        windows: int64 [batch, context + 1].
        rng: not needed here.
        training: makes no difference here.

    Returns:
        Inputs and labels, both int64 [batch, context].
    """
    return windows[:, :-1], windows[:, 1:]


def masked(mask: int, special: int, vocabulary: int) -> Objective:
    """Return the objective that predicts masked tokens from those around them (Devlin et al. 2019).

    Args:
        mask: id of the mask token.
        special: number of special tokens, whose ids come first; they replace no token.
        vocabulary: number of token ids.
    """

    masking = Masking(mask, special, vocabulary)

    def predict_masked(windows: np.ndarray, rng: np.random.Generator, training: bool) -> tuple[np.ndarray, np.ndarray]:
        tokens = windows[:, 1:]  # the first token belongs to the window before
        return masking.hide(tokens, np.ones(tokens.shape, dtype=bool), rng, training)

    return predict_masked


@dataclass(frozen=True)
class Masking:
    """How tokens are hidden (Devlin et al. 2019).

    Attributes:
        mask: id of the mask token.
        first: the first id of the tokens that may replace others.
        end: the id behind the last of them.
    """

    mask: int
    first: int
    end: int

    def hide(
        self, tokens: np.ndarray, eligible: np.ndarray, rng: np.random.Generator, training: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose the tokens that are predicted, and mask or replace most of them; for an evaluation, mask all of them.

        Args:
            tokens: int64 [batch, longest].
            eligible: bool [batch, longest], which tokens may be predicted.
            rng: of all draws.
            training: whether it is a step of training.

        Returns:
            Inputs and labels, both int64 [batch, longest].
        """
        chosen = draw_places(eligible, PREDICTED, rng)
        labels = np.where(chosen, tokens, IGNORE_INDEX)
        way = rng.random(tokens.shape) if training else np.zeros(tokens.shape)
        inputs = np.where(chosen & (way < MASKED), self.mask, tokens)
        swapped = chosen & (way >= MASKED) & (way < MASKED + REPLACED)
        inputs[swapped] = rng.integers(self.first, self.end, size=int(swapped.sum()))
        return inputs, labels


def draw_places(eligible: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a share of the eligible places of each row, but at least one where there are any, bool [batch, longest]."""
    there = eligible.sum(axis=1, keepdims=True)
    number = np.minimum(there, np.maximum(1, np.round(share * there)))
    order = np.where(eligible, rng.random(eligible.shape), 1.0).argsort(axis=1)
    drawn: np.ndarray = order.argsort(axis=1) < number
    return drawn


def draw_windows(tokens: np.ndarray, context: int, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the random windows of a step, int64 [batch, context + 1]."""
    starts = rng.integers(0, len(tokens) - context, size=batch_size)
    windows: np.ndarray = tokens[starts[:, None] + np.arange(context + 1)]
    return windows


def mean_loss(
    model: nn.Module, inputs: np.ndarray, labels: np.ndarray, device: torch.device, real: np.ndarray | None = None
) -> Tensor:
    """Return the mean loss in nats of the predicted tokens; 0 where there are none.

    Args:
        model: a Hugging Face language model.
        inputs: token ids, int64 [batch, context].
        labels: token ids or IGNORE_INDEX, int64 [batch, context].
        device: of the model.
        real: bool [batch, context], false at padding that must be masked; None where there is none.
    """
    masks = {} if real is None else {"attention_mask": torch.from_numpy(real.astype(np.int64)).to(device)}
    logits = model(input_ids=torch.from_numpy(inputs).to(device), **masks).logits
    total = functional.cross_entropy(
        logits.flatten(0, 1),
        torch.from_numpy(labels).to(device).flatten(),
        ignore_index=IGNORE_INDEX,
        reduction="sum",
    )
    return total / max(1, int((labels != IGNORE_INDEX).sum()))


def held_out_loss(model: nn.Module, batches: Iterable[tuple[np.ndarray, ...]], device: torch.device) -> float:
    """Return the mean loss in nats of the predicted tokens of all batches.

    Args:
        model: a Hugging Face language model.
        batches: inputs, labels and, where there is padding, what is real, as those of `mean_loss`.
        device: of the model.
    """
    total, count = 0.0, 0
    for inputs, labels, *real in batches:
        number = int((labels != IGNORE_INDEX).sum())
        total += mean_loss(model, inputs, labels, device, *real).item() * number
        count += number
    return total / count


def evaluation_batches(
    tokens: np.ndarray, context: int, objective: Objective, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the batches of an evaluation on held-out tokens: always the same, each token but the first in one of them.

    Yields:
        Inputs and labels, both int64 [up to 32, up to `context`].
    """
    rng = np.random.default_rng([seed, 1])
    for window in _consecutive(tokens, context):
        yield objective(window, rng, False)


def _consecutive(tokens: np.ndarray, context: int) -> Iterator[np.ndarray]:
    """Return windows [up to 32, context + 1] that overlap by one token, and a shorter last one."""
    whole = (len(tokens) - 1) // context
    windows = tokens[: whole * context + 1]
    starts = np.arange(whole) * context
    for part in slices(whole, EVALUATION_WINDOWS):
        yield windows[starts[part, None] + np.arange(context + 1)]
    if whole * context < len(tokens) - 1:
        yield tokens[None, whole * context :]
