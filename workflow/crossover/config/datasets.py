"""Datasets: where raw files come from."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, PositiveInt, model_validator

from crossover.config.base import ConfigModel, Name

Url = Annotated[str, Field(pattern=r"^(https?|ftp)://[^/\s]+/\S+$")]
FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+ -]{0,199}"  # no hidden files, no paths to other folders
RECEIPT = "dataset.json"  # is written beside the files
FileName = Annotated[str, Field(pattern=f"^{FILE_NAME}$")]
CorpusFolder = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_/-]*$")]  # inside the corpus only


class Music21Dataset(ConfigModel):
    """Scores from the corpus of the music21 package, converted to MIDI, in one folder per class."""

    kind: Literal["music21"]
    name: Name
    """Folder name under resources/downloads/."""
    classes: dict[Name, CorpusFolder] = Field(min_length=2)
    """Mapping from class label to folder of the corpus."""
    pieces: PositiveInt
    """Number of pieces from each folder."""
    seed: int = 0
    """Random seed of the choice of pieces."""


class DigitsDataset(ConfigModel):
    """The 1,797 handwritten digits that come with scikit-learn."""

    kind: Literal["sklearn-digits"]
    name: Name
    """Folder name under resources/downloads/."""


class PythonTopicsDataset(ConfigModel):
    """English prose that is already on the machine: the topics of Python's documentation (`pydoc_data.topics`)."""

    kind: Literal["python-topics"]
    name: Name
    """Folder name under resources/downloads/."""


class FolderDataset(ConfigModel):
    """A folder of your own files, or a single file, read in place. For MIDI files and images, sub-folders are classes."""

    kind: Literal["folder"]
    name: Name
    """Name of the receipt's folder under resources/downloads/."""
    path: str
    """Folder or file, relative to the working directory."""


class RemoteFile(ConfigModel):
    """A file to download."""

    url: Url
    """The publisher's address (http, https or ftp)."""
    name: FileName | None = None
    """File name under which it is stored; by default the last part of the URL."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Published SHA-256. Without it, the first download records the SHA-256, and later downloads must match."""
    bytes: PositiveInt | None = None
    """Published size in bytes."""
    mirrors: tuple[Url, ...] = ()
    """Other addresses of the same file, tried in order if the first one fails."""
    unpack: bool = False
    """Unpack this zip or tar archive into the dataset's folder."""
    only: tuple[str, ...] = ()
    """Patterns of the files to unpack, such as `*/listops-1000/*.tsv`; by default all files of the archive."""

    @property
    def stored_as(self) -> str:
        """Return the file's name in the dataset's folder."""
        return self.name or PurePosixPath(unquote(urlsplit(self.url).path)).name

    @model_validator(mode="after")
    def stored_name_is_plain(self) -> "RemoteFile":
        """Raise unless the file can be stored under a plain file name."""
        if not re.fullmatch(FILE_NAME, self.stored_as):
            raise ValueError(f"{self.url} does not end in a plain file name; set name")
        return self

    @model_validator(mode="after")
    def only_needs_unpack(self) -> "RemoteFile":
        """Raise if `only` is set for a file that is not unpacked."""
        if self.only and not self.unpack:
            raise ValueError("only selects files of an archive; set unpack: true, or remove only")
        return self


class DownloadDataset(ConfigModel):
    """Files from the web, verified by their SHA-256. If CROSSOVER_MIRROR is set, they come from that mirror instead."""

    kind: Literal["download"]
    name: Name
    """Folder name under resources/downloads/."""
    version: str | None = None
    """The publisher's version."""
    files: list[RemoteFile] = Field(min_length=1)
    """Files to download, including archives to unpack."""
    unpacked_mb: PositiveInt = 4096
    """Maximum total size of the unpacked archives in megabytes; anything larger is refused."""

    @model_validator(mode="after")
    def stored_names_are_unique(self) -> "DownloadDataset":
        """Raise if two files, or a file and the receipt, would overwrite each other."""
        names = [file.stored_as for file in self.files]
        twice = {name for name in [*names, RECEIPT] if [*names, RECEIPT].count(name) > 1}
        if twice:
            raise ValueError(f"two files would be stored as {min(twice)}; set another name for one of them")
        return self


class HubDataset(ConfigModel):
    """A dataset of the Hugging Face hub at a pinned commit, stored as one Parquet file per split."""

    kind: Literal["hub"]
    name: Name
    """Folder name under resources/downloads/."""
    id: str = Field(min_length=1)
    """Id on the hub, such as nyu-mll/glue, or a folder of data files with the hub's layout."""
    config: str | None = None
    """Configuration of the dataset, such as cola."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    """Full commit hash. A branch is not accepted, since its data could change."""
    splits: dict[Name, str] = Field(min_length=1)
    """Mapping from Parquet file name to split on the hub, such as `validation: validation_matched`."""


Dataset = Annotated[
    Music21Dataset | DigitsDataset | PythonTopicsDataset | FolderDataset | DownloadDataset | HubDataset,
    Field(discriminator="kind"),
]
