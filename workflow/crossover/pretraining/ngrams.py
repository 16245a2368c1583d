"""Count-based language models, which a pretrained model is compared with."""

import numpy as np


def ngram_losses(training: np.ndarray, held_out: np.ndarray, vocabulary: int, order: int) -> np.ndarray:
    """Return the loss of an n-gram model on each held-out token but the first.

    Counts of single tokens have one added to each. Those of longer sequences are smoothed with the shorter ones as Witten &
    Bell (1991, method C) do: a context that was followed by many different tokens leaves more to what follows in general.

    Args:
        training: token ids to count, int64 [tokens].
        held_out: token ids to predict, int64 [tokens].
        vocabulary: number of token ids; its power of `order` must be less than 2 ** 63.
        order: 1 for frequencies alone, 3 for a token after the two before it.

    Returns:
        Losses in nats, float64 [tokens - 1].
    """
    counts = np.bincount(training, minlength=vocabulary) + 1
    probability = (counts / counts.sum())[held_out]
    for length in range(2, min(order, len(training), len(held_out)) + 1):
        grams, numbers = np.unique(_ngrams(training, length, vocabulary), return_counts=True)
        contexts, first, followers = np.unique(grams // vocabulary, return_index=True, return_counts=True)
        seen = np.add.reduceat(numbers, first)
        asked = _ngrams(held_out, length, vocabulary)
        of_gram = _look_up(grams, numbers, asked)
        of_context = _look_up(contexts, seen, asked // vocabulary)
        spread = _look_up(contexts, followers, asked // vocabulary)
        shorter = probability[length - 1 :]
        probability[length - 1 :] = np.where(
            of_context > 0, (of_gram + spread * shorter) / np.maximum(1, of_context + spread), shorter
        )
    losses: np.ndarray = -np.log(probability[1:])
    return losses


def _ngrams(tokens: np.ndarray, length: int, vocabulary: int) -> np.ndarray:
    """Return each n-gram of `length` tokens as one number, the last token as its last digit."""
    windows = np.lib.stride_tricks.sliding_window_view(tokens, length)
    return windows @ vocabulary ** np.arange(length - 1, -1, -1)


def _look_up(keys: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return the value of each key, 0 where there is none; `keys` are sorted."""
    places = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[places] == asked, values[places], 0)
