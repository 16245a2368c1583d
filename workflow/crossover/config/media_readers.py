"""Readers of music and images."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from crossover.config.base import Model
from crossover.config.text_readers import Files, LabelTable


class OwnSplits(Model):
    """A reader of data that comes in splits."""

    @property
    def gives_split(self) -> bool:
        """The data says which split an item belongs to."""
        return True


class Labelled(Model):
    """Files that are labelled by their folder or in a table."""

    labels: LabelTable | None = None
    """A table of labels, whose items are paths of files relative to it; by default each folder is a class."""
    split_folders: bool = False
    """Whether the outermost folders are train, validation (or valid, val, dev) and test; the split is then `by: given`."""

    @property
    def gives_split(self) -> bool:
        """Whether the folders say which split an item belongs to."""
        return self.split_folders


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


class MidiReader(Pieces, Labelled):
    """MIDI files, cut into segments of notes."""

    kind: Literal["midi"]


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


class Images(Model):
    """How images of any format that Pillow reads are read."""

    colour: bool = True
    """Whether images are read in colour (red, green, blue) or in gray."""
    resize: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)] | None = None
    """[rows, columns] to which all are brought; without it they must be of one size."""
    damaged: Literal["refuse", "skip"] = "refuse"
    """What is done with a file that is no whole image; what is skipped is named on the task's card."""


class ImageFolderReader(Images, Labelled):
    """Image files."""

    kind: Literal["image-folder"]


class ImageColumns(Model):
    """Which column of a Parquet file holds what."""

    image: str
    """The bytes of an image file, alone or beside its path, as the Hugging Face hub keeps them."""
    target: str
    """Class label or number."""
    group: str | None = None
    """What must stay in one split; by default the item."""


class ImageTableReader(Images, Files):
    """One image per row of a Parquet file."""

    kind: Literal["image-table"]
    columns: ImageColumns
    """Which column holds what."""
