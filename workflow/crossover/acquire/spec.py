"""The spec of a dataset: what its files are made of, as far as it is known when a study is planned."""

import importlib.util
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crossover.acquire.mirror import read_mirror
from crossover.acquire.registry import ACQUIRERS
from crossover.config.datasets import Dataset, DownloadDataset
from crossover.errors import UserError
from crossover.files import sha256
from crossover.specs.identity import code_digests, named, remembered_digest, remembered_tree_digest

Spec = dict[str, Any]


def dataset_spec(dataset: Dataset) -> Spec:
    """The spec of a dataset; its name follows from its settings, its files' digests and the code of its kind.

    Raises:
        UserError: files that are there already cannot be read.
    """
    settings, about = _download(dataset) if isinstance(dataset, DownloadDataset) else (_settings(dataset), None)
    code = code_digests(ACQUIRERS[dataset.kind])
    return named(dataset.name, {"kind": "dataset", "dataset": settings, "code": code}, about)


def subset_of(spec: Spec) -> str | None:
    """What part of its origin's data a dataset holds, in words, or None when it is whole."""
    return spec["dataset"].get("subset")


def _settings(dataset: Dataset) -> Spec:
    """The settings, with the version or the digest of what is on this machine already."""
    settings = dataset.model_dump(exclude={"name"})
    match dataset.kind:
        case "music21":
            settings["version"] = version("music21")
        case "sklearn-digits":
            settings["version"] = version("scikit-learn")
        case "python-topics":
            settings["sha256"] = _topics_digest()
        case "folder":
            path = Path(dataset.path)
            settings["sha256"] = remembered_digest(path) if path.is_file() else remembered_tree_digest(path)
        case "hub" if Path(dataset.id).is_dir():
            settings["sha256"] = remembered_tree_digest(Path(dataset.id))
    return settings


@cache
def _topics_digest() -> str:
    found = importlib.util.find_spec("pydoc_data.topics")
    if found is None or found.origin is None:
        raise UserError(
            "this Python has no pydoc_data.topics, which the checkpoint learns from; use a Python with its standard library whole."
        )
    return sha256(Path(found.origin))


def _download(dataset: DownloadDataset) -> tuple[Spec, Spec]:
    """Settings that hold the files' digests, and where the files are to be had.

    A file is named by its SHA-256, so that the same bytes from elsewhere are the same dataset; where none is known, by
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
        identity: Spec = {"sha256": digest} if digest else {"url": file.url}
        files.append({"name": file.stored_as, "unpack": file.unpack, "only": list(file.only), **identity})
        sources[file.stored_as] = {"url": file.url, "places": places, "bytes": size}
    settings = {"kind": dataset.kind, "files": files} | ({"subset": "; ".join(subsets)} if subsets else {})
    return settings, {"version": dataset.version, "unpacked_mb": dataset.unpacked_mb, "sources": sources}
