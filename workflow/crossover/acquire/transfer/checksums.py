"""The SHA-256 of downloads that no publisher gave one for: written down at the first download, binding ever after."""

import fcntl
from pathlib import Path

from crossover.files import read_json, write_json

CHECKSUMS = "checksums.json"  # in resources/downloads/: URL to SHA-256


def recorded_checksum(path: Path, url: str) -> str | None:
    """The SHA-256 that the first download of `url` had, or None when there was none.

    Args:
        path: checksums.json.
        url: the canonical address.

    Raises:
        UserError: the file is damaged.
    """
    return read_json(path).get(url) if path.is_file() else None


def record_checksum(path: Path, url: str, digest: str) -> None:
    """Write down the SHA-256 of a first download; others may be doing the same at this moment."""
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given up when the file is closed
        known = read_json(path) if path.is_file() else {}
        if url not in known:
            write_json(path, known | {url: digest})
