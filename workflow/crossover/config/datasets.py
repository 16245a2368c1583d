"""Datasets: where raw files come from."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from crossover.config.base import Model, Name

CorpusFolder = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_/-]*$")]  # below the corpus, never beside it


class Music21Dataset(Model):
    """Scores from the corpus that the music21 package installs, written as MIDI, one folder per class."""

    kind: Literal["music21"]
    name: Name
    """Name of the folder under resources/downloads/."""
    classes: dict[Name, CorpusFolder] = Field(min_length=2)
    """Class label to folder of the corpus."""
    pieces: PositiveInt
    """Pieces taken from each folder."""
    seed: int = 0
    """Seed of the choice of pieces."""


class DigitsDataset(Model):
    """The 1,797 handwritten digits that scikit-learn installs."""

    kind: Literal["sklearn-digits"]
    name: Name
    """Name of the folder under resources/downloads/."""


class PythonTopicsDataset(Model):
    """English prose already on the machine: Python's own documentation topics (`pydoc_data.topics`)."""

    kind: Literal["python-topics"]
    name: Name
    """Name of the folder under resources/downloads/."""


class FolderDataset(Model):
    """A folder of your own files, read in place; for MIDI files the sub-folders are the classes."""

    kind: Literal["folder"]
    name: Name
    """Name of the receipt's folder under resources/downloads/."""
    path: str
    """The folder, relative to the working directory."""


Dataset = Annotated[Music21Dataset | DigitsDataset | PythonTopicsDataset | FolderDataset, Field(discriminator="kind")]
