"""Download files from the web or from a mirror, and unpack archives."""

from pathlib import Path

from crossover.acquire.acquired import Acquired
from crossover.acquire.archives import UnpackBudget, check_gzip, unpack
from crossover.acquire.transfer.checksums import CHECKSUMS, record_checksum, recorded_checksum
from crossover.acquire.transfer.http import fetch
from crossover.config.datasets import RECEIPT
from crossover.errors import UserError
from crossover.files import sha256
from crossover.specs.datasets import DatasetSpec, Download, DownloadedFile, Publication, Source
from crossover.specs.descriptions import DownloadedSource


def acquire(dataset: Download, spec: DatasetSpec, folder: Path, workers: int) -> Acquired:
    """Download every file into `folder`, and unpack the archives there.

    Archives are deleted when everything is unpacked; the receipt keeps their sizes and SHA-256.

    Raises:
        UserError: a file cannot be downloaded, is not the expected one, or is an archive that cannot be trusted.
    """
    assert spec.publication is not None  # every download has one
    downloaded, files = download_files(dataset, spec.publication, folder, folder.parent / CHECKSUMS)
    for file in dataset.files:
        if file.unpack:
            (folder / file.name).unlink()
    origin = ", ".join(source.url for source in downloaded)
    version = spec.publication.version
    return Acquired(folder, files, origin, version, subset=dataset.subset, sources=tuple(downloaded))


def download_files(
    wanted: Download, publication: Publication, folder: Path, checksums: Path
) -> tuple[list[DownloadedSource], list[str]]:
    """Download files, and unpack the archives among them.

    A file without a published SHA-256 must match the SHA-256 of its first download.

    Args:
        wanted: the files.
        publication: where they can be downloaded.
        folder: where they go.
        checksums: checksums.json, with the SHA-256 of first downloads.

    Returns:
        What was downloaded, and the paths of the files that it unpacks to, relative to `folder`.

    Raises:
        UserError: a file cannot be downloaded, is not the expected one, or is an archive that cannot be trusted.
    """
    downloaded: list[DownloadedSource] = []
    files: list[str] = []
    budget = UnpackBudget(publication.unpacked_mb * 10**6)
    taken = {RECEIPT, *(file.name for file in wanted.files)}
    for file in wanted.files:
        path, source = folder / file.name, publication.sources[file.name]
        _fetch(file, source, path, checksums)
        digest = sha256(path)
        downloaded.append(DownloadedSource(name=file.name, url=source.url, bytes=path.stat().st_size, sha256=digest))
        files += _content(path, file, budget, taken.union(files))
        if file.sha256 is None:
            record_checksum(checksums, source.url, digest)
    return downloaded, files


def _fetch(file: DownloadedFile, source: Source, path: Path, checksums: Path) -> None:
    hint = f"Check the addresses and the network, or put the file at {path} yourself, then run again."
    digest = file.sha256
    if digest is None and (digest := recorded_checksum(checksums, source.url)):
        hint = (
            f"{checksums} has the SHA-256 of the first download of {source.url}: put that file at {path}, or, if the "
            f"publisher has replaced it, delete that line and run again."
        )
    fetch(source.places, path, digest, source.bytes, hint)


def _content(path: Path, file: DownloadedFile, budget: UnpackBudget, taken: set[str]) -> list[str]:
    """Return the names of the files of a download: those that it unpacks to, or its own."""
    try:
        if file.unpack:
            return unpack(path, path.parent, budget, file.only, taken)
        if file.sha256 is None:
            check_gzip(path)
        return [path.name]
    except UserError:
        if file.sha256 is None:  # the download may be damaged; kept, the next run would accept it
            path.unlink(missing_ok=True)
        raise
