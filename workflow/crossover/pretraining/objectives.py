"""What a language model is asked to predict: the next token, or tokens that were hidden from it."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from crossover.training.loop import slices

# Devlin et al. (2019, section 3.1): of the tokens, 15 % are to be predicted; of these most are hidden, and the others
# are replaced by any token, or left as they are.
PREDICTED, HIDDEN, REPLACED = 0.15, 0.8, 0.1
NOTHING = -100  # no prediction is asked for here
AT_ONCE = 32  # windows of an evaluation

Ask = Callable[[np.ndarray, np.random.Generator, bool], tuple[np.ndarray, np.ndarray]]


def next_token(windows: np.ndarray, rng: np.random.Generator, training: bool) -> tuple[np.ndarray, np.ndarray]:
    """Each token from those before it (Radford et al. 2019).

    Args:
        windows: int64 [batch, context + 1].
        rng: not needed here.
        training: makes no difference here.

    Returns:
        What the model reads and what it is to predict, both int64 [batch, context].
    """
    return windows[:, :-1], windows[:, 1:]


def masked(mask: int, special: int, vocabulary: int) -> Ask:
    """Hidden tokens from those around them (Devlin et al. 2019).

    Args:
        mask: id of the token that hides another.
        special: ids below this one stand for no text, and replace none.
        vocabulary: number of token ids.
    """

    def ask(windows: np.ndarray, rng: np.random.Generator, training: bool) -> tuple[np.ndarray, np.ndarray]:
        read = windows[:, 1:].copy()  # the first token belongs to the window before
        number = max(1, round(PREDICTED * read.shape[1]))
        chosen = rng.random(read.shape).argsort(axis=1) < number  # a permutation of the places, cut off
        labels = np.where(chosen, read, NOTHING)
        way = rng.random(read.shape) if training else np.zeros(read.shape)
        read[chosen & (way < HIDDEN)] = mask
        swapped = chosen & (way >= HIDDEN) & (way < HIDDEN + REPLACED)
        read[swapped] = rng.integers(special, vocabulary, size=int(swapped.sum()))
        return read, labels

    return ask


def draw_windows(tokens: np.ndarray, context: int, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """Random windows of a step, int64 [batch, context + 1]."""
    starts = rng.integers(0, len(tokens) - context, size=batch_size)
    return tokens[starts[:, None] + np.arange(context + 1)]


def mean_loss(model: nn.Module, read: np.ndarray, labels: np.ndarray, device: torch.device) -> Tensor:
    """Mean loss in nats of the predictions that are asked for.

    Args:
        model: a Hugging Face language model.
        read: token ids, int64 [batch, context].
        labels: token ids or NOTHING, int64 [batch, context].
        device: of the model.
    """
    logits = model(input_ids=torch.from_numpy(read).to(device)).logits
    return functional.cross_entropy(
        logits.flatten(0, 1), torch.from_numpy(labels).to(device).flatten(), ignore_index=NOTHING
    )


def held_out_loss(
    model: nn.Module, tokens: np.ndarray, context: int, ask: Ask, seed: int, device: torch.device
) -> float:
    """Mean loss in nats over the held-out tokens that are asked for, in windows that follow one another."""
    total, count = 0.0, 0
    for read, labels in questions(tokens, context, ask, seed):
        number = int((labels != NOTHING).sum())
        total += mean_loss(model, read, labels, device).item() * number
        count += number
    return total / count


def questions(tokens: np.ndarray, context: int, ask: Ask, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What is asked of held-out tokens: the same whenever it is asked, and together each token but the first once.

    Yields:
        What the model reads and what it is to predict, both int64 [up to 32, up to `context`].
    """
    rng = np.random.default_rng([seed, 1])
    for window in _consecutive(tokens, context):
        yield ask(window, rng, False)


def _consecutive(tokens: np.ndarray, context: int) -> Iterator[np.ndarray]:
    """Windows [up to 32, context + 1] that overlap by one token, and a shorter last one."""
    whole = (len(tokens) - 1) // context
    windows = tokens[: whole * context + 1]
    starts = np.arange(whole) * context
    for part in slices(whole, AT_ONCE):
        yield windows[starts[part, None] + np.arange(context + 1)]
    if whole * context < len(tokens) - 1:
        yield tokens[None, whole * context :]
