"""A mirror of downloads: a folder or server, set by CROSSOVER_MIRROR, that replaces the web.

Its MANIFEST.json lists files under `files`: `file` (path in the mirror), `upstream` (original address), `bytes`,
`sha256`, `status` (complete, or subset, described by `rows` and `note`). Files without an entry are looked up at
<host>/<path> of their address; the wheel of a package, which has none, is found by its SHA-256. The manifest is read when a study is planned, since a subset is different data.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel

from crossover.config.datasets import RemoteFile
from crossover.config.load import parse
from crossover.errors import UserError
from crossover.files import write_json
from crossover.specs.identity import hash8

VARIABLE = "CROSSOVER_MIRROR"
MANIFEST = "MANIFEST.json"
CACHE = Path("resources/downloads")


class ManifestEntry(BaseModel):
    """One file of a mirror, as described in its manifest. Additional keys are ignored."""

    file: str
    upstream: str
    bytes: int
    sha256: str
    status: Literal["complete", "subset"] = "complete"
    rows: object = None
    note: str = ""

    @property
    def subset(self) -> str | None:
        """Describe which part of the upstream file this is; None if it is complete."""
        if self.status == "complete":
            return None
        rows = self.rows if isinstance(self.rows, dict) else {"": self.rows or "a part"}
        words = ", ".join(f"{name} {number}".strip() for name, number in rows.items())
        return f"{words} ({self.note})" if self.note else words

    @property
    def original_name(self) -> str:
        """Return the name of the upstream file."""
        return PurePosixPath(self.file).name.removesuffix(".subset")


@dataclass(frozen=True)
class Mirror:
    """A mirror in which files can be looked up.

    Attributes:
        root: its folder or address, without a trailing slash.
        entries: the entries of its manifest.
    """

    root: str
    entries: list[ManifestEntry]

    def find(self, file: RemoteFile) -> tuple[str | None, ManifestEntry | None]:
        """Return the path or address of a file in the mirror, and its manifest entry; None for what does not exist."""
        entry = self._entry(file)
        if entry:
            return self._place(entry.file), entry
        address = urlsplit(file.url)
        path = f"{address.netloc}{unquote(address.path)}"
        if _is_address(self.root):
            return self._place(path), None
        inside = ".." not in path.split("/") and Path(self.root, path).is_file()
        return (self._place(path) if inside else None), None

    def _entry(self, file: RemoteFile) -> ManifestEntry | None:
        """Return the entry for one of the file's addresses, or else for its SHA-256."""
        found = [entry for entry in self.entries if entry.upstream in {file.url, *file.mirrors}]
        if len(found) > 1:  # several entries share the address: tell them apart by name
            names = (file.stored_as, PurePosixPath(urlsplit(file.url).path).name)
            found = [entry for name in names for entry in found if entry.original_name == name]
        return found[0] if found else self._entry_of(file.sha256)

    def find_digest(self, digest: str) -> str | None:
        """Return the path or address of the file with that SHA-256, such as a wheel; None if the manifest has none."""
        entry = self._entry_of(digest)
        return self._place(entry.file) if entry else None

    def _entry_of(self, digest: str | None) -> ManifestEntry | None:
        return next((entry for entry in self.entries if entry.sha256 == digest), None)

    def _place(self, path: str) -> str:
        return f"{self.root}/{quote(path)}" if _is_address(self.root) else f"{self.root}/{path}"


def read_mirror() -> Mirror | None:
    """Return the mirror set by CROSSOVER_MIRROR, with its manifest; None if the variable is not set.

    The manifest of a server is downloaded once and cached in resources/downloads/.

    Raises:
        UserError: the mirror does not exist, or its manifest is invalid.
    """
    root = os.environ.get(VARIABLE, "").rstrip("/")
    if not root:
        return None
    if _is_address(root):
        path = CACHE / f".mirror-{hash8(root)}.json"
        if not path.is_file():
            write_json(path, _fetch_manifest(root))
    elif not Path(root).is_dir():
        raise UserError(f"{VARIABLE} is {root}, which is not a folder; correct the variable, or unset it.")
    else:
        path = Path(root, MANIFEST)
    manifest = _read_manifest(path) if path.is_file() else {}
    files = manifest.get("files", []) if isinstance(manifest, dict) else manifest
    return Mirror(root, parse(list[ManifestEntry], files, str(path)))


def _read_manifest(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); correct it, or unset {VARIABLE}.") from error


def _fetch_manifest(root: str) -> object:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        with urlopen(f"{root}/{MANIFEST}", timeout=30) as response:
            return json.load(response)
    except HTTPError as error:
        if error.code == 404:  # the manifest is optional
            return {}
        reason = f"answers {error.code} {error.reason}"
    except (OSError, ValueError) as error:
        reason = f"cannot be read ({error})"
    raise UserError(f"{root}/{MANIFEST} {reason}; correct {VARIABLE}, or unset it.")


def _is_address(root: str) -> bool:
    return root.startswith(("http://", "https://"))
