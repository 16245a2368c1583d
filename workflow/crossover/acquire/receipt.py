"""Receipts of datasets: which raw files were acquired, from where, and their SHA-256."""

import hashlib
import json
from pathlib import Path

from crossover.acquire.acquired import Acquired
from crossover.errors import UserError
from crossover.files import sha256
from crossover.specs.descriptions import (
    DownloadedSource,
    FileSummary,
    Origin,
    Receipt,
    ReceiptFile,
)

MAX_LISTED = 20  # a card lists up to this many files; of more it has only their number and a common digest


def write_receipt(path: Path, acquired: Acquired, name: str, kind: str) -> None:
    """Write the receipt of acquired files.

    Args:
        path: of the receipt.
        acquired: the files.
        name: the dataset's name.
        kind: the dataset's kind.
    """
    root = acquired.root
    files = tuple(
        ReceiptFile(path=file, bytes=(root / file).stat().st_size, sha256=sha256(root / file))
        for file in sorted(acquired.files)
    )
    Receipt(
        name=name,
        kind=kind,
        origin=acquired.origin,
        version=acquired.version,
        subset=acquired.subset,
        skipped=acquired.skipped,
        sources=acquired.sources,
        root=root,
        files=files,
    ).write(path)


def read_receipt(path: Path) -> Receipt:
    """Read a receipt, and verify the size and SHA-256 of all its files.

    Raises:
        UserError: a file is missing or has changed, or the receipt itself has changed.
    """
    receipt = Receipt.load(path)
    for entry in receipt.files:
        file = receipt.root / entry.path
        if not file.is_file():
            raise UserError(f"{file} is missing, but {path} lists it; put it back, or delete {path} and run again.")
        if file.stat().st_size != entry.bytes or sha256(file) != entry.sha256:
            raise UserError(
                f"{file} is not the file that was acquired (SHA-256 {entry.sha256} in {path}); "
                f"put the original back, or delete {path} and run again."
            )
    return receipt


def origin_of(receipt: Receipt) -> Origin:
    """Return the facts for a task's card. The files of a download are listed as downloaded, not as unpacked."""
    files: tuple[ReceiptFile | DownloadedSource, ...] = receipt.sources or receipt.files
    return Origin(
        name=receipt.name,
        kind=receipt.kind,
        origin=receipt.origin,
        version=receipt.version,
        subset=receipt.subset,
        files=files if len(files) <= MAX_LISTED else _summary(files),
    )


def _summary(files: tuple[ReceiptFile | DownloadedSource, ...]) -> FileSummary:
    content = json.dumps([file.content() for file in files], sort_keys=True)
    return FileSummary(number=len(files), sha256=hashlib.sha256(content.encode()).hexdigest())
