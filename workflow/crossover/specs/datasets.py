"""Datasets: where raw files come from, and what they must be."""

from typing import ClassVar, Literal

from crossover.config.datasets import (
    DigitsDataset,
    FolderDataset,
    HubDataset,
    Music21Dataset,
    PythonTopicsDataset,
)
from crossover.specs.base import Record, Spec


class DownloadedFile(Record):
    """One file of a download, identified by its SHA-256, or by its URL where no digest is known."""

    name: str
    unpack: bool
    only: tuple[str, ...]
    sha256: str | None = None
    url: str | None = None


class Download(Record):
    """Files from the web; `subset` says in words what part of the published data a mirror holds."""

    kind: Literal["download"] = "download"
    files: tuple[DownloadedFile, ...]
    subset: str | None = None


class Source(Record):
    """Where a file can be downloaded, and its published size in bytes."""

    url: str
    places: tuple[str, ...]
    bytes: int | None


class Publication(Record):
    """What is published about a download without being part of its bytes; sources are by file name."""

    version: str | None
    unpacked_mb: int
    sources: dict[str, Source]


class DatasetSpec(Spec):
    """Raw files of one origin.

    Attributes:
        dataset: the settings.
        version: of the package that installs the files, where one does.
        sha256: of the files, where they are on this machine already.
        publication: of a download.
    """

    ABOUT: ClassVar[frozenset[str]] = frozenset({"publication"})

    kind: Literal["dataset"] = "dataset"
    dataset: Music21Dataset | DigitsDataset | PythonTopicsDataset | FolderDataset | HubDataset | Download
    version: str | None = None
    sha256: str | None = None
    publication: Publication | None = None

    @property
    def subset(self) -> str | None:
        """What part of its origin's data the dataset holds, in words, or None when it is whole."""
        return self.dataset.subset if isinstance(self.dataset, Download) else None

    @property
    def receipt(self) -> str:
        """The path of its receipt."""
        return f"resources/downloads/{self.name}/dataset.json"
