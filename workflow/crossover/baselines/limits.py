"""How much of a large task a baseline is fitted on: all of it where that takes about a minute, else a part that is drawn once."""

from crossover.baselines.models import MANY_OUTPUTS
from crossover.encodings.tokens import Tokens
from crossover.specs.descriptions import EncodedTarget, EncodingDescription

NUMBERS = 3 * 2**24  # in rows of training items at most: MNIST has 47 million pixels
NUMBERS_BY_OUTPUTS = 2**29  # numbers x outputs of logistic regression at most
SYMBOLS = 2**22  # of training items at most
SYMBOLS_BY_OUTPUTS = 2**25  # symbols x outputs of logistic regression at most
COLUMNS = 2**14  # of counts
RIDGE_COLUMNS = 2**10  # of counts with many outputs


def outputs_of(target: EncodedTarget) -> int:
    """Return how many outputs a model has: one for each class or bit, or one for a number."""
    if target.kind == "bits":
        return target.positions * (target.bits or 1)
    return len(target.classes or (None,))


def largest_columns(target: EncodedTarget) -> int:
    """Return how many of the most frequent words of a task are counted."""
    return RIDGE_COLUMNS if outputs_of(target) > MANY_OUTPUTS else COLUMNS


def largest_training(encoding: EncodingDescription, training: Tokens) -> int:
    """Return how many training items a baseline is fitted on at most.

    Args:
        encoding: of the task.
        training: the training items that there are.
    """
    outputs = outputs_of(encoding.target)
    logistic = outputs <= MANY_OUTPUTS
    if encoding.width is not None:
        numbers = min(NUMBERS, NUMBERS_BY_OUTPUTS // outputs) if logistic else NUMBERS
        return max(1, numbers // (encoding.longest * encoding.width))
    symbols = min(SYMBOLS, SYMBOLS_BY_OUTPUTS // outputs) if logistic else SYMBOLS
    by_symbols = symbols * len(training) // max(1, int(training.lengths.sum()))
    return max(1, by_symbols if logistic else min(by_symbols, NUMBERS // RIDGE_COLUMNS))
