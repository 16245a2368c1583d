"""Readers of music and images."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from crossover.config.base import ConfigModel
from crossover.config.text_readers import FileReader, LabelTable


class PresplitReader(ConfigModel):
    """Base of readers of data that are published in splits."""

    @property
    def defines_splits(self) -> bool:
        """Return whether the data define the split of each item: always."""
        return True


class LabelledFilesReader(ConfigModel):
    """Base of readers of files that are labelled by their folder or in a table."""

    labels: LabelTable | None = None
    """Table of labels, whose items are file paths relative to the table; by default each folder is a class."""
    split_folders: bool = False
    """Whether the outermost folders are the splits: train, validation (or valid, val, dev) and test. Needs
    `split.by: given`."""

    @property
    def defines_splits(self) -> bool:
        """Return whether the folders define the split of each item."""
        return self.split_folders


class SegmentOptions(ConfigModel):
    """How MIDI files are cut into segments of notes, ordered by onset and pitch."""

    segment: PositiveInt = 48
    """Notes per segment; notes left over at the end of a piece are dropped."""
    maximum_segments: PositiveInt | Literal["all"] = 6
    """Maximum number of segments per piece."""
    content: Literal["pitches", "notes"] = "pitches"
    """`pitches` only, or whole `notes` (time shift, pitch, duration and velocity) for the encoding `events`."""
    damaged: Literal["skip", "refuse"] = "skip"
    """How to handle files that are not complete MIDI files: `skip` them and list them on the task's card, or `refuse` the
    dataset."""


class MidiReader(SegmentOptions, LabelledFilesReader):
    """MIDI files, cut into segments of notes."""

    kind: Literal["midi"]


class MaestroReader(SegmentOptions, PresplitReader):
    """MAESTRO performances labelled by composer, in MAESTRO's own splits, cut into segments of notes."""

    kind: Literal["maestro"]
    minimum_pieces: PositiveInt = 1
    """Drop composers with fewer performances."""


class IdxReader(PresplitReader):
    """MNIST's four IDX files, or others with the same names, in their own splits."""

    kind: Literal["idx"]


class CifarReader(PresplitReader):
    """CIFAR-10's Python batches, in their own splits."""

    kind: Literal["cifar-batches"]


class ImageOptions(ConfigModel):
    """How image files are read, in any format that Pillow supports."""

    colour: bool = True
    """Whether to read images in colour (red, green, blue) or in grayscale."""
    resize: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)] | None = None
    """Resize all images to [rows, columns]; without it they must all have the same size."""
    damaged: Literal["refuse", "skip"] = "refuse"
    """How to handle files that are not complete images: `skip` them and list them on the task's card, or `refuse` the
    dataset."""


class ImageFolderReader(ImageOptions, LabelledFilesReader):
    """Image files."""

    kind: Literal["image-folder"]


class ImageColumns(ConfigModel):
    """Columns of a Parquet file of images."""

    image: str
    """Image file as bytes, alone or together with its path, as the Hugging Face hub stores them."""
    target: str
    """Class label or number."""
    group: str | None = None
    """Group: items of one group stay in the same split. By default each item is its own group."""


class ImageTableReader(ImageOptions, FileReader):
    """One image per row of a Parquet file."""

    kind: Literal["image-table"]
    columns: ImageColumns
    """Which column holds what."""
