"""A mirror of downloads: a folder or a server, named by CROSSOVER_MIRROR, that stands in for the web.

Its MANIFEST.json lists, under `files`, what stands in for which address: `file` (path in the mirror), `upstream` (the
address), `bytes`, `sha256`, `status` (complete, or subset, with `rows` and `note` in words). Files without an entry lie
at <host>/<path of their address>. What a manifest says is read when a study is planned, since a subset is other data.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal
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


class Entry(BaseModel):
    """One file of a mirror, as its manifest describes it; further keys are for people."""

    file: str
    upstream: str
    bytes: int
    sha256: str
    status: Literal["complete", "subset"] = "complete"
    rows: Any = None
    note: str = ""

    @property
    def subset(self) -> str | None:
        """What part of the upstream file this is, in words, or None when it is whole."""
        if self.status == "complete":
            return None
        rows = self.rows if isinstance(self.rows, dict) else {"": self.rows or "a part"}
        words = ", ".join(f"{name} {number}".strip() for name, number in rows.items())
        return f"{words} ({self.note})" if self.note else words

    @property
    def original_name(self) -> str:
        """The name of the upstream file."""
        return PurePosixPath(self.file).name.removesuffix(".subset")


@dataclass(frozen=True)
class Mirror:
    """A mirror that can be asked for files.

    Attributes:
        root: its folder or address, without a slash at the end.
        entries: what its manifest lists.
    """

    root: str
    entries: list[Entry]

    def find(self, file: RemoteFile) -> tuple[str | None, Entry | None]:
        """Where the mirror has a file (a path or an address, or None), and its entry in the manifest, if it has one."""
        entry = self._entry(file)
        if entry:
            return self._place(entry.file), entry
        address = urlsplit(file.url)
        path = f"{address.netloc}{unquote(address.path)}"
        if _is_address(self.root):
            return self._place(path), None
        inside = ".." not in path.split("/") and Path(self.root, path).is_file()
        return (self._place(path) if inside else None), None

    def _entry(self, file: RemoteFile) -> Entry | None:
        """The entry of one of the file's addresses, or of its very bytes."""
        found = [entry for entry in self.entries if entry.upstream in {file.url, *file.mirrors}]
        if len(found) > 1:  # an address that stands for several files says nothing of a single one
            names = (file.stored_as, PurePosixPath(urlsplit(file.url).path).name)
            found = [entry for name in names for entry in found if entry.original_name == name]
        found = found or [entry for entry in self.entries if entry.sha256 == file.sha256]
        return found[0] if found else None

    def _place(self, path: str) -> str:
        return f"{self.root}/{quote(path)}" if _is_address(self.root) else f"{self.root}/{path}"


def read_mirror() -> Mirror | None:
    """The mirror that CROSSOVER_MIRROR names, with its manifest, or None when it names none.

    The manifest of a server is read once and kept in resources/downloads/.

    Raises:
        UserError: there is no such mirror, or its manifest is not one.
    """
    root = os.environ.get(VARIABLE, "").rstrip("/")
    if not root:
        return None
    if _is_address(root):
        path = CACHE / f".mirror-{hash8(root)}.json"
        if not path.is_file():
            write_json(path, _fetch_manifest(root))
    elif not Path(root).is_dir():
        raise UserError(f"{VARIABLE} names {root}, which is no folder; correct the variable, or unset it.")
    else:
        path = Path(root, MANIFEST)
    manifest = _read_manifest(path) if path.is_file() else {}
    files = manifest.get("files", []) if isinstance(manifest, dict) else manifest
    return Mirror(root, parse(list[Entry], files, str(path)))


def _read_manifest(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); correct it, or unset {VARIABLE}.") from error


def _fetch_manifest(root: str) -> Any:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        with urlopen(f"{root}/{MANIFEST}", timeout=30) as response:
            return json.load(response)
    except HTTPError as error:
        if error.code == 404:  # a mirror need not have one
            return {}
        reason = f"answers {error.code} {error.reason}"
    except (OSError, ValueError) as error:
        reason = f"cannot be read ({error})"
    raise UserError(f"{root}/{MANIFEST} {reason}; correct {VARIABLE}, or unset it.")


def _is_address(root: str) -> bool:
    return root.startswith(("http://", "https://"))
