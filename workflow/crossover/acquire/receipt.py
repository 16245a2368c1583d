"""Receipts of datasets: which raw files were acquired, from where, and their SHA-256."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossover.errors import UserError
from crossover.files import read_sealed_json, sha256, write_sealed_json

LISTED = 20  # a card lists up to this many files; of more it has only their number and a common digest


@dataclass(frozen=True)
class Receipt:
    """The acquired raw files of a dataset.

    Attributes:
        name: the dataset's name.
        root: the folder of the files.
        files: their paths relative to `root`, sorted.
        skipped: inputs that could not be acquired, each with `input` and `reason`.
        subset: a description of the part of the published data that the dataset has; None if it is complete.
        origin: the facts for a task's card: name, kind, origin, version, subset and files.
    """

    name: str
    root: Path
    files: tuple[str, ...]
    skipped: tuple[dict[str, str], ...] = ()
    subset: str | None = None
    origin: dict[str, Any] = field(default_factory=dict)


def write_receipt(path: Path, root: Path, files: list[str], facts: dict[str, Any]) -> None:
    """Write the receipt of `files` in `root`, with facts such as name, kind, origin and version."""
    entries = [
        {"path": name, "bytes": (root / name).stat().st_size, "sha256": sha256(root / name)} for name in sorted(files)
    ]
    write_sealed_json(path, {**facts, "root": str(root), "files": entries})


def read_receipt(path: Path) -> Receipt:
    """Read a receipt, and verify the size and SHA-256 of all its files.

    Raises:
        UserError: a file is missing or has changed, or the receipt itself has changed.
    """
    content = read_sealed_json(path)
    root = Path(content["root"])
    for entry in content["files"]:
        file = root / entry["path"]
        if not file.is_file():
            raise UserError(f"{file} is missing, but {path} lists it; put it back, or delete {path} and run again.")
        if file.stat().st_size != entry["bytes"] or sha256(file) != entry["sha256"]:
            raise UserError(
                f"{file} is not the file that was acquired (SHA-256 {entry['sha256']} in {path}); "
                f"put the original back, or delete {path} and run again."
            )
    return Receipt(
        content["name"],
        root,
        tuple(entry["path"] for entry in content["files"]),
        tuple(content.get("skipped", ())),
        content.get("subset"),
        _origin(content),
    )


def recorded_digests(folder: Path, receipt: str | None) -> tuple[Path, dict[str, str]]:
    """Read the recorded SHA-256 of a checkpoint's files.

    Args:
        folder: the checkpoint's folder.
        receipt: the receipt of the download that contains it; None to read the checkpoint.json in the folder.

    Returns:
        The path of the record, and the SHA-256 of each file of the checkpoint by file name.

    Raises:
        UserError: the record is missing or has changed.
    """
    record = Path(receipt) if receipt else folder / "checkpoint.json"
    content = read_sealed_json(record)
    if not receipt:
        return record, content["sha256"]
    files = {Path(content["root"], entry["path"]): entry["sha256"] for entry in content["files"]}
    return record, {path.name: digest for path, digest in files.items() if path.parent == folder}


def _origin(content: dict[str, Any]) -> dict[str, Any]:
    """Return the facts for a task's card. The files of a download are listed as downloaded, not as unpacked."""
    files = content.get("sources") or content["files"]
    if len(files) > LISTED:
        files = {"number": len(files), "sha256": hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()}
    return {key: content.get(key) for key in ("name", "kind", "origin", "version", "subset")} | {"files": files}
