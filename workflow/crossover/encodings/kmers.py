"""DNA and proteins as ids of k-mers: words of k letters, overlapping or one after the other."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import pyarrow as pa

from crossover.encodings.encoder import Encoded, Settings, column, id_type, positions_within, require_type
from crossover.encodings.letters import ALPHABETS, code_points, letter_ids

UNKNOWN = "<unknown>"
LEFT_OVER = "letters at an end that fill no k-mer"


@dataclass(frozen=True)
class KmerEncoder:
    """K-mers in the order of their letters; those with any other letter share the last id.

    Overlapping k-mers start at every letter, as in DNABERT (Ji et al. 2021), others at every k-th; letters at the end that
    fill no k-mer are left out and counted. A sequence shorter than k is one unknown k-mer.

    Attributes:
        letters: the letters of known k-mers.
        other: the letter that `decode` gives for those of unknown ones.
        k: letters of a k-mer.
        overlapping: whether one starts at every letter.
        longest: k-mers that are kept of a sequence.
    """

    letters: str
    other: str
    k: int
    overlapping: bool
    longest: int

    @property
    def unknown(self) -> int:
        """The id of all k-mers with another letter."""
        return len(self.letters) ** self.k

    @cached_property
    def vocabulary(self) -> list[str]:
        """The k-mers, and last what stands for unknown ones."""
        return [*map("".join, product(self.letters, repeat=self.k)), UNKNOWN]

    @property
    def facts(self) -> Settings:
        """The vocabulary."""
        return {"kind": "kmers", "vocabulary": self.vocabulary, "width": None}

    def encode(self, table: pa.Table) -> Encoded:
        """Ids of the k-mers."""
        points, letters = code_points(column(table, "sequence"))
        step = 1 if self.overlapping else self.k
        counts = np.maximum((letters - self.k) // step + 1, 1)
        kept = np.minimum(counts, self.longest)
        starts = np.repeat(np.cumsum(letters) - letters, kept) + positions_within(kept) * step
        ids = np.take(self._ids_at_every_letter(points), starts)
        ids[np.repeat(letters < self.k, kept)] = self.unknown
        left_over = int(np.where(letters < self.k, 0, (letters - self.k) % step).sum())
        unknown = int((ids == self.unknown).sum())
        return Encoded(ids, kept, int((counts > self.longest).sum()), unknown, {LEFT_OVER: left_over})

    def _ids_at_every_letter(self, points: np.ndarray) -> np.ndarray:
        """The id of the k-mer that starts at each letter, and at the end: a number of k digits, one for each letter."""
        base = len(self.letters)
        digits = np.append(letter_ids(points, self.letters, base, fold_case=True), np.full(self.k, base, np.uint16))
        count = len(points) + 1
        ids, known = np.zeros(count, dtype=np.uint32), np.ones(count, dtype=bool)
        for place in range(self.k):
            digit = digits[place : place + count]
            ids *= np.uint32(base)
            ids += digit
            known &= digit != base
        ids[~known] = self.unknown
        return ids.astype(id_type(self.unknown + 1))

    def decode(self, values: np.ndarray) -> str:
        """The letters of one item; those of an unknown k-mer as N or X."""
        words = [self.other * self.k if index == self.unknown else self.vocabulary[index] for index in values]
        return words[0] + "".join(word[-1] for word in words[1:]) if self.overlapping else "".join(words)


def make_encoder(settings: Settings, card: Settings, training: pa.Table) -> KmerEncoder:
    """The encoder of k-mers of DNA or protein.

    Raises:
        UserError: the sequences are no text.
    """
    require_type(card, training, "kmers", "large_string")
    alphabet = ALPHABETS[settings["alphabet"]]
    return KmerEncoder(alphabet[:-1], alphabet[-1], settings["k"], settings["overlapping"], settings["max_length"])
