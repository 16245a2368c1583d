"""SHA-256 of downloads without a published one: recorded at the first download, and required from then on."""

import fcntl
from pathlib import Path

from crossover.files import read_json, write_json

CHECKSUMS = "checksums.json"  # in resources/downloads/: URL to SHA-256


def recorded_checksum(path: Path, url: str) -> str | None:
    """Return the SHA-256 of the first download of `url`; None if there was none.

    Args:
        path: checksums.json.
        url: the canonical address.

    Raises:
        UserError: the file is damaged.
    """
    return read_json(path).get(url) if path.is_file() else None


def record_checksum(path: Path, url: str, digest: str) -> None:
    """Record the SHA-256 of a first download, safely against concurrent processes."""
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed
        known = read_json(path) if path.is_file() else {}
        if url not in known:
            write_json(path, known | {url: digest})
