"""Download files from the web or from a mirror, and unpack archives."""

from pathlib import Path
from typing import Any

from crossover.acquire.archives import UnpackBudget, check_gzip, unpack
from crossover.acquire.registry import Acquired
from crossover.acquire.transfer.checksums import CHECKSUMS, record_checksum, recorded_checksum
from crossover.acquire.transfer.http import fetch
from crossover.errors import UserError
from crossover.files import sha256


def acquire(settings: dict[str, Any], folder: Path, workers: int) -> Acquired:
    """Download every file into `folder`, and unpack the archives there.

    A file without a published SHA-256 must match the SHA-256 of its first download. Archives are deleted when everything
    is unpacked; the receipt keeps their sizes and SHA-256.

    Raises:
        UserError: a file cannot be downloaded, is not the expected one, or is an archive that cannot be trusted.
    """
    sources: list[dict[str, Any]] = []
    files: list[str] = []
    budget = UnpackBudget(settings["unpacked_mb"] * 10**6)
    taken = {"dataset.json", *(file["name"] for file in settings["files"])}
    for file in settings["files"]:
        path, source = folder / file["name"], settings["sources"][file["name"]]
        _fetch(file, source, path, folder.parent / CHECKSUMS)
        sources.append({"name": path.name, "url": source["url"], "bytes": path.stat().st_size, "sha256": sha256(path)})
        files += _content(path, file, budget, taken.union(files))
        if "sha256" not in file:
            record_checksum(folder.parent / CHECKSUMS, source["url"], sources[-1]["sha256"])
    for file in settings["files"]:
        if file["unpack"]:
            (folder / file["name"]).unlink()
    facts = {
        "origin": ", ".join(source["url"] for source in sources),
        "version": settings["version"],
        "subset": settings.get("subset"),
        "sources": sources,
    }
    return Acquired(folder, files, facts)


def _fetch(file: dict[str, Any], source: dict[str, Any], path: Path, checksums: Path) -> None:
    hint = f"Check the addresses and the network, or put the file at {path} yourself, then run again."
    digest = file.get("sha256")
    if not digest and (digest := recorded_checksum(checksums, source["url"])):
        hint = (
            f"{checksums} has the SHA-256 of the first download of {source['url']}: put that file at {path}, or, if the "
            f"publisher has replaced it, delete that line and run again."
        )
    fetch(source["places"], path, digest, source["bytes"], hint)


def _content(path: Path, file: dict[str, Any], budget: UnpackBudget, taken: set[str]) -> list[str]:
    """Return the names of the files of a download: those that it unpacks to, or its own."""
    try:
        if file["unpack"]:
            return unpack(path, path.parent, budget, file["only"], taken)
        if "sha256" not in file:
            check_gzip(path)
        return [path.name]
    except UserError:
        if "sha256" not in file:  # the download may be damaged; kept, the next run would accept it
            path.unlink(missing_ok=True)
        raise
