"""Sequences of symbols as ids of a vocabulary, one position per symbol.

An alphabet has a `vocabulary` (the symbol of each id) and `unknown` (the id of all symbols that are not in the vocabulary; None
if there are none). `encode` takes any number of sequences and returns their ids [positions of all] and the number of
positions of each, int64 [items]; `decode` takes the ids of one item and returns its sequence.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossover.alphabets import ALPHABETS, UNKNOWN, WHOLE_NOTES
from crossover.config.encodings import SymbolsEncoding
from crossover.encodings.encoder import (
    Decoded,
    Encoded,
    Encoder,
    ItemBatches,
    column,
    id_type,
    list_lengths,
    require_type,
    truncate,
)
from crossover.encodings.letters import code_points, letter_ids
from crossover.encodings.special import Surrounded
from crossover.errors import UserError
from crossover.specs.descriptions import Card, EncoderFacts

PITCHES = 128  # MIDI numbers


@dataclass(frozen=True)
class Letters:
    """Letters of a fixed alphabet, of which the last (N, X) stands for all others.

    Lower case is read as upper case: in FASTA files it marks repeats, not other residues. In proteins the rare U and O and
    the ambiguous B, Z and J become X.
    """

    letters: str

    @property
    def vocabulary(self) -> list[str]:
        """Return the letters, in the order of their ids."""
        return list(self.letters)

    @property
    def unknown(self) -> int:
        """Return the id of the last letter."""
        return len(self.letters) - 1

    def encode(self, sequences: pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and lengths of texts."""
        points, lengths = code_points(sequences)
        if points.dtype != np.uint8:
            raise UserError(
                f"a sequence has a character that is not ASCII; expected only {self.letters}: correct it in the raw "
                "files."
            )
        return letter_ids(points, self.letters, self.unknown, fold_case=True).astype(np.uint16), lengths

    def decode(self, ids: np.ndarray) -> str:
        """Return the text of one item."""
        letters: np.ndarray = np.frombuffer(self.letters.encode(), dtype=np.uint8)[ids]
        return letters.tobytes().decode()


@dataclass(frozen=True)
class Characters:
    """The characters of the training sequences; all others share the last id."""

    letters: str

    @classmethod
    def of(cls, training: Iterable[pa.LargeStringArray]) -> "Characters":
        """Collect the characters of the training sequences, in the order of their code points."""
        found = {point for part in training for point in np.flatnonzero(np.bincount(code_points(part)[0])).tolist()}
        return cls("".join(map(chr, sorted(found))))

    @property
    def vocabulary(self) -> list[str]:
        """Return the characters, and last the symbol for unknown ones."""
        return [*self.letters, UNKNOWN]

    @property
    def unknown(self) -> int:
        """Return the id of all other characters."""
        return len(self.letters)

    def encode(self, sequences: pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and lengths of texts."""
        points, lengths = code_points(sequences)
        return letter_ids(points, self.letters, self.unknown, fold_case=False).astype(np.uint16), lengths

    def decode(self, ids: np.ndarray) -> str:
        """Return the text of one item."""
        vocabulary = self.vocabulary
        return "".join(vocabulary[index] for index in ids)


@dataclass(frozen=True)
class Pitches:
    """MIDI numbers, which are their own ids."""

    unknown: None = None

    @property
    def vocabulary(self) -> list[str]:
        """Return the numbers 0 to 127."""
        return [str(pitch) for pitch in range(PITCHES)]

    def encode(self, sequences: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and lengths of lists of numbers."""
        pitches = sequences.flatten().to_numpy()
        if pitches.min() < 0 or pitches.max() >= PITCHES:
            raise UserError(f"a sequence has a pitch outside 0 to {PITCHES - 1}; correct it in the raw files.")
        return pitches.astype(np.uint16), list_lengths(sequences)

    def decode(self, ids: np.ndarray) -> list[int]:
        """Return the numbers of one item."""
        return [int(pitch) for pitch in ids]


@dataclass(frozen=True)
class Words:
    """Words separated by spaces; those that are not in `words` share the last id."""

    words: list[str]

    @classmethod
    def of(cls, training: Iterable[pa.LargeStringArray]) -> "Words":
        """Collect the words of the training sequences, sorted."""
        words = {word for part in training for word in pc.unique(pc.split_pattern(part, " ").flatten()).to_pylist()}
        return cls(sorted(words))

    @property
    def vocabulary(self) -> list[str]:
        """Return the words, and last the symbol for unknown ones."""
        return [*self.words, UNKNOWN]

    @property
    def unknown(self) -> int:
        """Return the id of all other words."""
        return len(self.words)

    def encode(self, sequences: pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and lengths of texts."""
        split = pc.split_pattern(sequences, " ")
        flat = split.flatten()
        ids = pc.fill_null(pc.index_in(flat, pa.array(self.words, flat.type)), self.unknown)
        return ids.to_numpy().astype(id_type(len(self.words) + 1)), list_lengths(split)

    def decode(self, ids: np.ndarray) -> str:
        """Return the text of one item."""
        vocabulary = self.vocabulary
        return " ".join(vocabulary[index] for index in ids)


Alphabet = Letters | Characters | Pitches | Words


@dataclass(frozen=True)
class SymbolEncoder:
    """Symbols of an alphabet.

    Attributes:
        alphabet: converts symbols to ids.
        max_length: maximum number of symbols of a sequence.
    """

    alphabet: Alphabet
    max_length: int

    @property
    def facts(self) -> EncoderFacts:
        """Return the vocabulary."""
        return EncoderFacts(kind="symbols", vocabulary=tuple(self.alphabet.vocabulary))

    def encode(self, table: pa.Table) -> Encoded:
        """Return ids of the symbols."""
        ids, lengths = self.alphabet.encode(column(table, "sequence"))
        truncated = int((lengths > self.max_length).sum())
        ids, lengths = truncate(ids, lengths, self.max_length)
        unknown = 0 if self.alphabet.unknown is None else int((ids == self.alphabet.unknown).sum())
        return Encoded(ids, lengths, truncated, unknown)

    def decode(self, values: np.ndarray) -> Decoded:
        """Return the text or the numbers of one item."""
        return self.alphabet.decode(values)


def make_encoder(encoding: SymbolsEncoding, card: Card, training: ItemBatches) -> Encoder:
    """Return the encoder of an alphabet; `whitespace` and `characters` are collected from the training sequences.

    Raises:
        UserError: the sequences do not have the type of the alphabet.
    """
    name = encoding.alphabet
    expected = "list<element: int32>" if name == "midi-pitch" else "large_string"
    require_type(card, training, f"alphabet {name}", expected)
    if card.unit == WHOLE_NOTES:
        raise UserError(
            f"task {card.task!r} has sequences of whole notes, but alphabet {name} has pitches only; set reader.content to "
            "pitches, or encoding.kind to events."
        )
    encoder = SymbolEncoder(make_alphabet(name, training), encoding.symbols_of_item)
    return Surrounded(encoder) if encoding.special_tokens else encoder


def make_alphabet(name: str, training: ItemBatches) -> Alphabet:
    """Return the alphabet of that name."""
    if name in ALPHABETS:
        return Letters(ALPHABETS[name])
    if name == "midi-pitch":
        return Pitches()
    sequences = (batch.column("sequence") for batch in training.to_batches())
    return Words.of(sequences) if name == "whitespace" else Characters.of(sequences)
