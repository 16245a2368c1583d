"""What the modules of acquire/ return."""

from dataclasses import dataclass
from pathlib import Path

from crossover.specs.descriptions import DownloadedSource, SkippedInput

UNFINISHED = ".unfinished."  # prefix of temporary folders in a dataset's folder


@dataclass(frozen=True)
class Acquired:
    """The raw files of a dataset.

    Attributes:
        root: their folder.
        files: their paths relative to `root`.
        origin: where they are from, in words or as addresses.
        version: of the package, release or commit; of a user's own files their SHA-256.
        subset: a description of the part of the published data that they are; None if they are complete.
        skipped: inputs that could not be converted.
        sources: the downloaded files before unpacking; None if nothing was downloaded file by file.
    """

    root: Path
    files: list[str]
    origin: str
    version: str | None
    subset: str | None = None
    skipped: tuple[SkippedInput, ...] = ()
    sources: tuple[DownloadedSource, ...] | None = None
