"""Files from the web or from a mirror of it, with their archives unpacked."""

from pathlib import Path
from typing import Any

from crossover.acquire.archives import Room, require_whole, unpack
from crossover.acquire.registry import Acquired
from crossover.acquire.transfer.checksums import CHECKSUMS, record_checksum, recorded_checksum
from crossover.acquire.transfer.http import fetch
from crossover.errors import UserError
from crossover.files import sha256


def acquire(settings: dict[str, Any], folder: Path, workers: int) -> Acquired:
    """Fetch every file into `folder` and unpack the archives among them there.

    A file without a published SHA-256 must have the one that its first download had. An archive is deleted when
    everything is unpacked; the receipt keeps its size and SHA-256.

    Raises:
        UserError: a file is nowhere to be had, is not the right one, or is an archive that cannot be trusted.
    """
    sources: list[dict[str, Any]] = []
    files: list[str] = []
    room = Room(settings["unpacked_mb"] * 10**6)
    taken = {"dataset.json", *(file["name"] for file in settings["files"])}
    for file in settings["files"]:
        path, source = folder / file["name"], settings["sources"][file["name"]]
        _fetch(file, source, path, folder.parent / CHECKSUMS)
        sources.append({"name": path.name, "url": source["url"], "bytes": path.stat().st_size, "sha256": sha256(path)})
        files += _content(path, file, room, taken.union(files))
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
    hint = f"Check the addresses and the network, or put the right file at {path}, then run again."
    digest = file.get("sha256")
    if not digest and (digest := recorded_checksum(checksums, source["url"])):
        hint = (
            f"{checksums} holds the SHA-256 of the first download of {source['url']}: put that file at {path}, or, if "
            f"the publisher has replaced it, delete the line there and run again."
        )
    fetch(source["places"], path, digest, source["bytes"], hint)


def _content(path: Path, file: dict[str, Any], room: Room, taken: set[str]) -> list[str]:
    """The files that a download is or holds."""
    try:
        if file["unpack"]:
            return unpack(path, path.parent, room, file["only"], taken)
        if "sha256" not in file:
            require_whole(path)
        return [path.name]
    except UserError:
        if "sha256" not in file:  # it may be to blame, and would be taken for good by the next run
            path.unlink(missing_ok=True)
        raise
