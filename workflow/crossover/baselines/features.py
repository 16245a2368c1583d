"""Features of items for models without a transformer: one row for each item, from the tokens that transformers read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, TypeAlias

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from crossover.encodings.tokens import Tokens
from crossover.specs.descriptions import EncodingDescription

Matrix: TypeAlias = np.ndarray | sparse.csr_matrix  # [items, columns], float32
Word = tuple[int, ...]

LONGEST_NGRAM = 3
DENSE_COLUMNS = 2**10  # a matrix with more columns stays sparse
ITEMS_AT_ONCE = 4096


class Features(Protocol):
    """A way to turn items into rows.

    Attributes:
        name: in tables.
    """

    name: str

    def fit(self, tokens: Tokens) -> Matrix:
        """Learn columns and scales from training items, and return their rows."""

    def rows(self, tokens: Tokens) -> Matrix:
        """Return the rows of other items."""


def features_of(encoding: EncodingDescription, columns: int) -> Iterator[Features]:
    """Yield the features that an encoding offers.

    Args:
        encoding: of the tokens.
        columns: at most so many of symbols are kept, the most frequent ones in training; numbers are all kept.
    """
    if encoding.width is None:
        yield SymbolFeatures("symbol at each position", columns, longest=None)
        for longest in range(1, LONGEST_NGRAM + 1):
            orders = "1-grams" if longest == 1 else f"1- to {longest}-grams"
            yield SymbolFeatures(f"counts of {orders}", columns, longest)
    else:
        yield NumberFeatures("pixels" if encoding.image else "values", encoding.longest)


@dataclass(frozen=True)
class WordsOf:
    """The words that an item is counted as: its symbols with their positions, or its n-grams up to some length."""

    longest: int | None

    def __call__(self, symbols: list[int]) -> Iterable[Word]:
        """Return the words of an item."""
        if self.longest is None:
            return enumerate(symbols)
        orders = range(1, self.longest + 1)
        return chain.from_iterable(zip(*(symbols[start:] for start in range(order)), strict=False) for order in orders)


class SymbolFeatures:
    """Counts of words, each divided by its largest count in training."""

    def __init__(self, name: str, columns: int, longest: int | None) -> None:
        """Count one-hot symbols at each position where `longest` is None, else n-grams of up to so many symbols."""
        self.name = name
        self._counter = CountVectorizer(analyzer=WordsOf(longest), max_features=columns, dtype=np.float32)
        self._scaler = MaxAbsScaler(copy=False)

    def fit(self, tokens: Tokens) -> Matrix:
        """Return the rows of training items."""
        return _narrow(self._scaler.fit_transform(self._counter.fit_transform(_symbols(tokens))))

    def rows(self, tokens: Tokens) -> Matrix:
        """Return the rows of other items; words that training does not have are left out."""
        return _narrow(self._scaler.transform(self._counter.transform(_symbols(tokens))))


class NumberFeatures:
    """The numbers of all patches side by side, standardised; short items end in zeros."""

    def __init__(self, name: str, longest: int) -> None:
        """Make rows for items of up to `longest` patches."""
        self.name, self._longest = name, longest
        self._scaler = StandardScaler(copy=False)

    def fit(self, tokens: Tokens) -> Matrix:
        """Return the rows of training items."""
        rows: np.ndarray = self._scaler.fit_transform(self._numbers(tokens))
        return rows

    def rows(self, tokens: Tokens) -> Matrix:
        """Return the rows of other items."""
        rows: np.ndarray = self._scaler.transform(self._numbers(tokens))
        return rows

    def _numbers(self, tokens: Tokens) -> np.ndarray:
        numbers = np.zeros((len(tokens), self._longest, tokens.values.shape[1]), dtype=np.float32)
        for start in range(0, len(tokens), ITEMS_AT_ONCE):
            items = np.arange(start, min(start + ITEMS_AT_ONCE, len(tokens)))
            values, _, _ = tokens.gather(items)
            numbers[items, : values.shape[1]] = values
        return numbers.reshape(len(tokens), -1)


def _symbols(tokens: Tokens) -> Iterator[list[int]]:
    for start, length in zip(tokens.offsets.tolist(), tokens.lengths.tolist(), strict=False):
        yield tokens.values[start : start + length].tolist()


def _narrow(counts: sparse.csr_matrix) -> Matrix:
    """Return a matrix of few columns as an array, which models are fitted to faster."""
    return counts.toarray() if counts.shape[1] <= DENSE_COLUMNS else counts
