"""The recorded SHA-256 of a checkpoint's files. Runs verify them, so this imports nothing of how files are acquired."""

from pathlib import Path

from crossover.specs.descriptions import CheckpointDescription, Receipt


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
    if receipt is None:
        record = folder / "checkpoint.json"
        return record, CheckpointDescription.load(record).sha256
    download = Receipt.load(Path(receipt))
    files = {download.root / entry.path: entry.sha256 for entry in download.files}
    return Path(receipt), {path.name: digest for path, digest in files.items() if path.parent == folder}
