"""Special tokens around sequences of symbols, as BERT reads texts: [CLS] in front of them, [SEP] behind."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crossover.alphabets import SPECIAL
from crossover.encodings.encoder import Decoded, Encoded, Encoder, id_type
from crossover.specs.descriptions import EncoderFacts


@dataclass(frozen=True)
class Surrounded:
    """An encoder of symbols whose sequences stand between special tokens, the last two of the vocabulary.

    Attributes:
        inner: the encoder, which leaves room for them.
    """

    inner: Encoder

    @property
    def facts(self) -> EncoderFacts:
        """Return the vocabulary, with the special tokens last."""
        return self.inner.facts.model_copy(update={"vocabulary": (*self._symbols, *SPECIAL), "special_tokens": True})

    @property
    def _symbols(self) -> tuple[str, ...]:
        symbols = self.inner.facts.vocabulary
        assert symbols is not None
        return symbols

    def encode(self, table: pa.Table) -> Encoded:
        """Return ids of the symbols of each item between the two special ones."""
        encoded, first = self.inner.encode(table), len(self._symbols)
        ends = np.cumsum(encoded.lengths)
        ids = encoded.values.astype(id_type(first + len(SPECIAL)))
        ids = np.insert(ids, np.stack([ends - encoded.lengths, ends], 1).ravel(), [first, first + 1] * len(ends))
        return Encoded(ids, encoded.lengths + 2, encoded.truncated, encoded.unknown, encoded.counts)

    def decode(self, values: np.ndarray) -> Decoded:
        """Return the sequence of one item, without the special tokens."""
        return self.inner.decode(values[1:-1])
