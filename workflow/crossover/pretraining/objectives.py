"""Objectives of language models: predict the next token, or masked tokens."""

from collections.abc import Callable, Iterator

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

    def predict_masked(windows: np.ndarray, rng: np.random.Generator, training: bool) -> tuple[np.ndarray, np.ndarray]:
        inputs = windows[:, 1:].copy()  # the first token belongs to the window before
        number = max(1, round(PREDICTED * inputs.shape[1]))
        chosen = rng.random(inputs.shape).argsort(axis=1) < number  # a permutation of the places, cut off
        labels = np.where(chosen, inputs, IGNORE_INDEX)
        way = rng.random(inputs.shape) if training else np.zeros(inputs.shape)
        inputs[chosen & (way < MASKED)] = mask
        swapped = chosen & (way >= MASKED) & (way < MASKED + REPLACED)
        inputs[swapped] = rng.integers(special, vocabulary, size=int(swapped.sum()))
        return inputs, labels

    return predict_masked


def draw_windows(tokens: np.ndarray, context: int, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the random windows of a step, int64 [batch, context + 1]."""
    starts = rng.integers(0, len(tokens) - context, size=batch_size)
    windows: np.ndarray = tokens[starts[:, None] + np.arange(context + 1)]
    return windows


def mean_loss(model: nn.Module, inputs: np.ndarray, labels: np.ndarray, device: torch.device) -> Tensor:
    """Return the mean loss in nats of the predicted tokens.

    Args:
        model: a Hugging Face language model.
        inputs: token ids, int64 [batch, context].
        labels: token ids or IGNORE_INDEX, int64 [batch, context].
        device: of the model.
    """
    logits = model(input_ids=torch.from_numpy(inputs).to(device)).logits
    return functional.cross_entropy(
        logits.flatten(0, 1), torch.from_numpy(labels).to(device).flatten(), ignore_index=IGNORE_INDEX
    )


def held_out_loss(
    model: nn.Module, tokens: np.ndarray, context: int, objective: Objective, seed: int, device: torch.device
) -> float:
    """Return the mean loss in nats of the predicted held-out tokens, in consecutive windows."""
    total, count = 0.0, 0
    for inputs, labels in evaluation_batches(tokens, context, objective, seed):
        number = int((labels != IGNORE_INDEX).sum())
        total += mean_loss(model, inputs, labels, device).item() * number
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
