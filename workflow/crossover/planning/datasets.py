"""The spec of a dataset: what is known of its files when a study is planned."""

import importlib.util
from functools import cache
from importlib.metadata import version
from pathlib import Path

from crossover.acquire.mirror import read_mirror
from crossover.acquire.registry import ACQUIRERS
from crossover.config.datasets import (
    Dataset,
    DigitsDataset,
    DownloadDataset,
    FolderDataset,
    HubDataset,
    Music21Dataset,
    PythonTopicsDataset,
)
from crossover.errors import UserError
from crossover.files import sha256
from crossover.planning.code import code_of
from crossover.specs.datasets import DatasetSpec, Download, DownloadedFile, Publication, Source
from crossover.specs.identity import remembered_digest, remembered_tree_digest


def plan_dataset(dataset: Dataset) -> DatasetSpec:
    """Return the spec of a dataset; its name follows from its settings, its files' digests and the code of its kind.

    Raises:
        UserError: files that are there already cannot be read.
    """
    code = code_of(ACQUIRERS[dataset.kind])
    match dataset:
        case DownloadDataset():
            files, publication = plan_download(dataset)
            return DatasetSpec.named(dataset.name, dataset=files, publication=publication, code=code)
        case Music21Dataset():
            pinned = {"version": version("music21")}
        case DigitsDataset():
            pinned = {"version": version("scikit-learn")}
        case PythonTopicsDataset():
            pinned = {"sha256": _topics_digest()}
        case FolderDataset():
            path = Path(dataset.path)
            pinned = {"sha256": remembered_digest(path) if path.is_file() else remembered_tree_digest(path)}
        case HubDataset():
            path = Path(dataset.id)
            pinned = {"sha256": remembered_tree_digest(path)} if path.is_dir() else {}
    return DatasetSpec.named(dataset.name, dataset=dataset, code=code, **pinned)


@cache
def _topics_digest() -> str:
    found = importlib.util.find_spec("pydoc_data.topics")
    if found is None or found.origin is None:
        raise UserError(
            "this Python lacks pydoc_data.topics, the corpus of the checkpoint; use a Python with a complete standard library."
        )
    return sha256(Path(found.origin))


def plan_download(dataset: DownloadDataset) -> tuple[Download, Publication]:
    """Return what identifies the files of a download, and where they can be downloaded.

    A file is identified by its SHA-256, so that the same bytes from elsewhere are the same dataset; where none is known, by
    its URL. A mirror's manifest knows better than the config what it holds: a subset, or another container.
    """
    mirror = read_mirror()
    files, sources, subsets = [], {}, []
    for file in dataset.files:
        place, entry = mirror.find(file) if mirror else (None, None)
        places = [file.url, *file.mirrors]
        digest, size = (entry.sha256, entry.bytes) if entry else (file.sha256, file.bytes)
        if place:
            elsewhere = [] if entry and entry.sha256 != file.sha256 else places
            places = [place, *elsewhere]
        if entry and entry.subset:
            subsets.append(f"{file.stored_as}: {entry.subset}")
        url = None if digest else file.url
        files.append(DownloadedFile(name=file.stored_as, unpack=file.unpack, only=file.only, sha256=digest, url=url))
        sources[file.stored_as] = Source(url=file.url, places=tuple(places), bytes=size)
    return (
        Download(files=tuple(files), subset="; ".join(subsets) or None),
        Publication(version=dataset.version, unpacked_mb=dataset.unpacked_mb, sources=sources),
    )
