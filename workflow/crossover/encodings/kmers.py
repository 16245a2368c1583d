"""DNA and proteins as ids of k-mers: words of k letters, overlapping or not."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import pyarrow as pa

from crossover.alphabets import ALPHABETS, UNKNOWN
from crossover.config.encodings import KmersEncoding
from crossover.encodings.encoder import (
    Encoded,
    Encoder,
    ItemBatches,
    column,
    id_type,
    positions_within,
    require_type,
    truncate,
)
from crossover.encodings.letters import code_points, letter_ids
from crossover.encodings.special import Surrounded
from crossover.specs.descriptions import Card, EncoderFacts

LEFT_OVER = "letters at an end that fill no k-mer"


@dataclass(frozen=True)
class KmerEncoder:
    """K-mers, numbered in the order of their letters; those with any other letter share the last id.

    Overlapping k-mers start at every letter, as in DNABERT (Ji et al. 2021), others at every k-th; letters at the end that
    do not fill a k-mer are dropped and counted. A sequence shorter than k is one unknown k-mer.

    Attributes:
        letters: the letters of known k-mers.
        other: the letter that `decode` returns for those of unknown ones.
        k: letters per k-mer.
        overlapping: whether k-mers start at every letter.
        max_length: maximum number of k-mers of a sequence.
    """

    letters: str
    other: str
    k: int
    overlapping: bool
    max_length: int

    @property
    def unknown(self) -> int:
        """Return the id of all k-mers with another letter."""
        known: int = len(self.letters) ** self.k
        return known

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Return the k-mers, and last the symbol for unknown ones."""
        return (*map("".join, product(self.letters, repeat=self.k)), UNKNOWN)

    @property
    def facts(self) -> EncoderFacts:
        """Return the vocabulary."""
        return EncoderFacts(kind="kmers", vocabulary=self.vocabulary)

    def encode(self, table: pa.Table) -> Encoded:
        """Return ids of k-mers: numbers of k digits, one digit per letter."""
        points, letters = code_points(column(table, "sequence"))
        digits = letter_ids(points, self.letters, len(self.letters), fold_case=True)
        short = letters < self.k
        left_over = np.where(short, letters, self.k - 1 if self.overlapping else letters % self.k)
        starts_kmer = np.ones(len(digits), dtype=bool)  # or, if they do not overlap, is in one
        starts_kmer[np.repeat(np.cumsum(letters) - left_over, left_over) + positions_within(left_over)] = False
        ids = self._overlapping_ids(digits)[starts_kmer] if self.overlapping else self._ids(digits[starts_kmer])
        counts = np.where(short, 1, letters - left_over if self.overlapping else letters // self.k)
        if short.any():
            known, ids = ids, np.full(counts.sum(), self.unknown, dtype=ids.dtype)
            ids[np.repeat(~short, counts)] = known
        truncated = int((counts > self.max_length).sum())
        ids, kept = truncate(ids, counts, self.max_length)
        lost = 0 if self.overlapping else int(left_over[~short].sum())
        return Encoded(ids, kept, truncated, int((ids == self.unknown).sum()), {LEFT_OVER: lost})

    def _overlapping_ids(self, digits: np.ndarray) -> np.ndarray:
        """Return the id of the k-mer that starts at each letter; any id for the last ones, which reach beyond the end."""
        padded = np.append(digits, np.zeros(self.k - 1, digits.dtype))
        ids = self._number([padded[place : place + len(digits)] for place in range(self.k)])
        unknown = np.flatnonzero(digits == len(self.letters))
        reached = unknown[:, None] - np.arange(self.k)
        ids[reached[reached >= 0]] = self.unknown
        return ids

    def _ids(self, digits: np.ndarray) -> np.ndarray:
        """Return the ids of k-mers that do not overlap."""
        ids = self._number(list(digits.reshape(-1, self.k).T))
        ids[np.flatnonzero(digits == len(self.letters)) // self.k] = self.unknown
        return ids

    def _number(self, digits: list[np.ndarray]) -> np.ndarray:
        ids = digits[0].astype(id_type(self.unknown + 1))
        for digit in digits[1:]:
            ids *= len(self.letters)
            ids += digit
        return ids

    def decode(self, values: np.ndarray) -> str:
        """Return the letters of one item; those of an unknown k-mer as N or X."""
        words = [self.other * self.k if index == self.unknown else self.vocabulary[index] for index in values]
        return words[0] + "".join(word[-1] for word in words[1:]) if self.overlapping else "".join(words)


def make_encoder(encoding: KmersEncoding, card: Card, training: ItemBatches) -> Encoder:
    """Return the encoder of k-mers of DNA or proteins.

    Raises:
        UserError: the sequences are not text.
    """
    require_type(card, training, "kmers", "large_string")
    alphabet = ALPHABETS[encoding.alphabet]
    encoder = KmerEncoder(alphabet[:-1], alphabet[-1], encoding.k, encoding.overlapping, encoding.symbols_of_item)
    return Surrounded(encoder) if encoding.special_tokens else encoder
