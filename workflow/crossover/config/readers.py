"""Readers: how labelled sequences are read from raw files, or generated."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from crossover.config.base import ConfigModel
from crossover.config.media_readers import (
    CifarReader,
    IdxReader,
    ImageFolderReader,
    ImageTableReader,
    MaestroReader,
    MidiReader,
)
from crossover.config.text_readers import FastaReader, ListopsFileReader, TableReader, ThreeLineReader


class SplitSizes(ConfigModel):
    """Number of items in each split of a generated task."""

    train: PositiveInt
    """Training items."""
    validation: PositiveInt
    """Validation items."""
    test: PositiveInt
    """Test items."""

    @property
    def total(self) -> int:
        """Return the number of items in all splits."""
        return self.train + self.validation + self.test


class DigitsReader(ConfigModel):
    """scikit-learn's handwritten digits: 8 x 8 pixels, ten classes."""

    kind: Literal["digits"]


class ListopsReader(ConfigModel):
    """Generated nested list operations (ListOps, Nangia & Bowman 2018), with brackets."""

    kind: Literal["listops"]
    max_depth: PositiveInt
    """Maximum nesting depth."""
    max_args: Annotated[int, Field(ge=2)]
    """Maximum number of arguments per operator."""
    min_length: PositiveInt
    """Minimum sequence length, in symbols."""
    max_length: PositiveInt
    """Maximum sequence length, in symbols."""
    sizes: SplitSizes
    """Number of items in each split."""
    seed: int = 0
    """Random seed of the generator."""


class BitMemoryReader(ConfigModel):
    """Bit memory: recall a partly masked bit string that was shown before, among others (Lu et al. 2021, section 3.1)."""

    kind: Literal["bit-memory"]
    strings: PositiveInt
    """Number of bit strings shown."""
    bits: PositiveInt
    """Bits per string."""
    sizes: SplitSizes
    """Number of items in each split."""
    seed: int = 0
    """Random seed of the generator."""


class BitXorReader(ConfigModel):
    """Bit XOR: the elementwise XOR of two bit strings (Lu et al. 2021, section 3.1)."""

    kind: Literal["bit-xor"]
    bits: PositiveInt
    """Bits per string."""
    sizes: SplitSizes
    """Number of items in each split."""
    seed: int = 0
    """Random seed of the generator."""


class SpliceSimReader(ConfigModel):
    """Simulated DNA around splice sites, drawn from published position weight matrices, with decoys."""

    kind: Literal["splice-sim"]
    flank: Annotated[int, Field(ge=14)] = 30
    """Nucleotides on each side of the exon-intron boundary; the published tables cover 14."""
    sizes: SplitSizes
    """Number of items in each split."""
    seed: int = 0
    """Random seed of the generator."""


class FoldsSimReader(ConfigModel):
    """Simulated proteins of four structural classes."""

    kind: Literal["folds-sim"]
    sizes: SplitSizes
    """Number of items in each split."""
    seed: int = 0
    """Random seed of the generator."""


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
