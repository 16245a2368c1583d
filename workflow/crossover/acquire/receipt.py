"""The receipt of a dataset: which raw files were acquired, from where, and their digests."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossover.errors import UserError
from crossover.files import read_sealed_json, sha256, write_sealed_json

LISTED = 20  # files that a card lists one by one; of more it has the number and one digest


@dataclass(frozen=True)
class Receipt:
    """Raw files of one dataset.

    Attributes:
        name: the dataset's name.
        root: the folder in which the files lie.
        files: their paths relative to `root`, in the order of names.
        skipped: inputs that could not be acquired, each with `input` and `reason`.
        subset: what part of its origin's data the dataset holds, in words, or None when it is whole.
        origin: what a task's card says of all this: name, kind, origin, version, subset and files.
    """

    name: str
    root: Path
    files: tuple[str, ...]
    skipped: tuple[dict[str, str], ...] = ()
    subset: str | None = None
    origin: dict[str, Any] = field(default_factory=dict)


def write_receipt(path: Path, root: Path, files: list[str], facts: dict[str, Any]) -> None:
    """Write the receipt of `files` under `root`, with further facts such as name, kind, origin and version."""
    entries = [
        {"path": name, "bytes": (root / name).stat().st_size, "sha256": sha256(root / name)} for name in sorted(files)
    ]
    write_sealed_json(path, {**facts, "root": str(root), "files": entries})


def read_receipt(path: Path) -> Receipt:
    """Read a receipt, and check size and SHA-256 of each of its files before anything else opens them.

    Raises:
        UserError: a file is missing or is not the one that was acquired, or the receipt is not as it was written.
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
    """What a checkpoint that was made, fetched or downloaded is checked against.

    Args:
        folder: of the checkpoint.
        receipt: of the download that it lies in, or None for the checkpoint.json beside it.

    Returns:
        The record, and the SHA-256 of each of the checkpoint's files by its name.

    Raises:
        UserError: the record is missing, or is not as it was written.
    """
    record = Path(receipt) if receipt else folder / "checkpoint.json"
    content = read_sealed_json(record)
    if not receipt:
        return record, content["sha256"]
    files = {Path(content["root"], entry["path"]): entry["sha256"] for entry in content["files"]}
    return record, {path.name: digest for path, digest in files.items() if path.parent == folder}


def _origin(content: dict[str, Any]) -> dict[str, Any]:
    """Where the files are from; those of a download are the files that were fetched, before they were unpacked."""
    files = content.get("sources") or content["files"]
    if len(files) > LISTED:
        files = {"number": len(files), "sha256": hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()}
    return {key: content.get(key) for key in ("name", "kind", "origin", "version", "subset")} | {"files": files}
