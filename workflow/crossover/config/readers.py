"""Readers: how raw files, or a generator, become labelled sequences."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from crossover.config.base import Model
from crossover.config.media_readers import (
    CifarReader,
    IdxReader,
    ImageFolderReader,
    ImageTableReader,
    MaestroReader,
    MidiReader,
)
from crossover.config.text_readers import FastaReader, ListopsFileReader, TableReader, ThreeLineReader


class Sizes(Model):
    """Items of each split of a generated task."""

    train: PositiveInt
    """Training items."""
    validation: PositiveInt
    """Validation items."""
    test: PositiveInt
    """Test items."""


class DigitsReader(Model):
    """scikit-learn's digits: 8 x 8 pixels, ten classes."""

    kind: Literal["digits"]


class ListopsReader(Model):
    """Nested list operations (Nangia & Bowman 2018), generated, brackets kept."""

    kind: Literal["listops"]
    max_depth: PositiveInt
    """Deepest nesting."""
    max_args: Annotated[int, Field(ge=2)]
    """Most arguments of an operator."""
    min_length: PositiveInt
    """Shortest sequence kept, in symbols."""
    max_length: PositiveInt
    """Longest sequence kept, in symbols."""
    sizes: Sizes
    """Items of each split."""
    seed: int = 0
    """Seed of the generator."""


class BitMemoryReader(Model):
    """Recall a masked bit string among several shown before (Lu et al. 2021, section 3.1)."""

    kind: Literal["bit-memory"]
    strings: PositiveInt
    """Strings shown."""
    bits: PositiveInt
    """Bits of a string."""
    sizes: Sizes
    """Items of each split."""
    seed: int = 0
    """Seed of the generator."""


class BitXorReader(Model):
    """The elementwise XOR of two bit strings (Lu et al. 2021, section 3.1)."""

    kind: Literal["bit-xor"]
    bits: PositiveInt
    """Bits of a string."""
    sizes: Sizes
    """Items of each split."""
    seed: int = 0
    """Seed of the generator."""


class SpliceSimReader(Model):
    """Simulated DNA around splice sites, drawn from published position weights, with decoys."""

    kind: Literal["splice-sim"]
    flank: Annotated[int, Field(ge=14)] = 30
    """Nucleotides on each side of the boundary of exon and intron; the published tables reach 14."""
    sizes: Sizes
    """Items of each split."""
    seed: int = 0
    """Seed of the generator."""


class FoldsSimReader(Model):
    """Simulated proteins of four structural classes."""

    kind: Literal["folds-sim"]
    sizes: Sizes
    """Items of each split."""
    seed: int = 0
    """Seed of the generator."""


Reader = Annotated[
    TableReader
    | FastaReader
    | ThreeLineReader
    | ListopsFileReader
    | MidiReader
    | MaestroReader
    | IdxReader
    | CifarReader
    | ImageFolderReader
    | ImageTableReader
    | DigitsReader
    | ListopsReader
    | BitMemoryReader
    | BitXorReader
    | SpliceSimReader
    | FoldsSimReader,
    Field(discriminator="kind"),
]
