"""Datasets: where raw files come from."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, PositiveInt, model_validator

from crossover.config.base import Model, Name

Url = Annotated[str, Field(pattern=r"^(https?|ftp)://[^/\s]+/\S+$")]
FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+ -]{0,199}"  # never hidden, never elsewhere
RECEIPT = "dataset.json"  # is written beside the files
FileName = Annotated[str, Field(pattern=f"^{FILE_NAME}$")]
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
    """A folder of your own files, or one file, read in place; of MIDI files and images, the sub-folders are the classes."""

    kind: Literal["folder"]
    name: Name
    """Name of the receipt's folder under resources/downloads/."""
    path: str
    """The folder or file, relative to the working directory."""


class RemoteFile(Model):
    """One file of a download."""

    url: Url
    """The address that the publisher gives (http, https or ftp)."""
    name: FileName | None = None
    """Name under which the file is kept; by default the last part of its URL."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Published SHA-256; where none is known, the first download records it and later ones must agree."""
    bytes: PositiveInt | None = None
    """Published size."""
    mirrors: tuple[Url, ...] = ()
    """Other addresses of the same bytes, tried in turn when the first one fails."""
    unpack: bool = False
    """Unpack this zip or tar archive into the dataset's folder."""
    only: tuple[str, ...] = ()
    """Patterns of the archive's files that are wanted, such as `*/listops-1000/*.tsv`; by default all of them."""

    @property
    def stored_as(self) -> str:
        """The file's name in the dataset's folder."""
        return self.name or PurePosixPath(unquote(urlsplit(self.url).path)).name

    @model_validator(mode="after")
    def can_be_stored(self) -> "RemoteFile":
        """A file needs a name, and a choice among members needs an archive."""
        if not re.fullmatch(FILE_NAME, self.stored_as):
            raise ValueError(f"{self.url} does not end in a plain file name; give the file a name")
        if self.only and not self.unpack:
            raise ValueError("only chooses among the files of an archive; set unpack: true, or leave it out")
        return self


class DownloadDataset(Model):
    """Files from the web, checked against their SHA-256; a mirror (CROSSOVER_MIRROR) stands in for it offline."""

    kind: Literal["download"]
    name: Name
    """Name of the folder under resources/downloads/."""
    version: str | None = None
    """Version as the publisher calls it."""
    files: list[RemoteFile] = Field(min_length=1)
    """The files; archives that are to be unpacked among them."""
    unpacked_mb: PositiveInt = 4096
    """Most that the archives may unpack to, in megabytes; one that holds more is refused."""

    @model_validator(mode="after")
    def names_differ(self) -> "DownloadDataset":
        """Two files under one name would overwrite each other, or the receipt."""
        names = [file.stored_as for file in self.files]
        twice = {name for name in [*names, RECEIPT] if [*names, RECEIPT].count(name) > 1}
        if twice:
            raise ValueError(f"two files would be kept as {min(twice)}; give one of them another name")
        return self


class HubDataset(Model):
    """A dataset of the Hugging Face hub at a pinned commit, kept as one Parquet file for each split."""

    kind: Literal["hub"]
    name: Name
    """Name of the folder under resources/downloads/."""
    id: str = Field(min_length=1)
    """Id on the hub, such as nyu-mll/glue, or a folder of data files with the hub's layout."""
    config: str | None = None
    """Configuration of the dataset, such as cola."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    """The commit, in full: a branch would let the data change."""
    splits: dict[Name, str] = Field(min_length=1)
    """Name of the Parquet file to name of the split on the hub, such as `validation: validation_matched`."""


Dataset = Annotated[
    Music21Dataset | DigitsDataset | PythonTopicsDataset | FolderDataset | DownloadDataset | HubDataset,
    Field(discriminator="kind"),
]
