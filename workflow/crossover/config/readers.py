"""Readers: how raw files, or a generator, become labelled sequences."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from crossover.config.base import Model


class Sizes(Model):
    """Items of each split of a generated task."""

    train: PositiveInt
    """Training items."""
    validation: PositiveInt
    """Validation items."""
    test: PositiveInt
    """Test items."""


class LabelTable(Model):
    """A csv or tsv with a header that holds the labels of sequences that are in other files."""

    file: str
    """Its path in the dataset."""
    item: str
    """Column with the name of the sequence."""
    target: str
    """Column with its label."""


class OwnSplits(Model):
    """A reader of data that comes in splits."""

    @property
    def gives_split(self) -> bool:
        """The data says which split an item belongs to."""
        return True


class Pieces(Model):
    """How MIDI files are cut into segments of notes in the order of (onset, pitch)."""

    segment: PositiveInt = 48
    """Notes in a segment; those left over at the end of a piece are dropped."""
    maximum_segments: PositiveInt | Literal["all"] = 6
    """Segments taken from one piece at most."""
    content: Literal["pitches", "notes"] = "pitches"
    """Pitches alone, or for encoding.kind events whole notes: time shift, pitch, duration and velocity."""
    damaged: Literal["skip", "refuse"] = "skip"
    """What is done with a file that is no whole MIDI file; what is skipped is named on the task's card."""


class MidiReader(Pieces):
    """MIDI files, cut into segments of notes."""

    kind: Literal["midi"]
    labels: LabelTable | None = None
    """A table of labels, whose items are paths of files relative to it; by default each folder is a class."""


class MaestroReader(Pieces, OwnSplits):
    """MAESTRO's performances by composer, in its own splits, cut into segments of notes."""

    kind: Literal["maestro"]
    minimum_pieces: PositiveInt = 1
    """Composers with fewer performances are left out."""


class IdxReader(OwnSplits):
    """MNIST's four IDX files, or others of such names, in their own splits."""

    kind: Literal["idx"]


class CifarReader(OwnSplits):
    """CIFAR-10's Python batches, in their own splits."""

    kind: Literal["cifar-batches"]


class ImageFolderReader(Model):
    """Image files of any format that Pillow reads."""

    kind: Literal["image-folder"]
    labels: LabelTable | None = None
    """A table of labels, whose items are paths of files relative to it; by default each folder is a class."""
    colour: bool = True
    """Whether images are read in colour (red, green, blue) or in gray."""
    resize: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)] | None = None
    """[rows, columns] to which all are brought; without it they must be of one size."""
    damaged: Literal["refuse", "skip"] = "refuse"
    """What is done with a file that is no whole image; what is skipped is named on the task's card."""


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
    MidiReader
    | MaestroReader
    | IdxReader
    | CifarReader
    | ImageFolderReader
    | DigitsReader
    | ListopsReader
    | BitMemoryReader
    | BitXorReader
    | SpliceSimReader
    | FoldsSimReader,
    Field(discriminator="kind"),
]
