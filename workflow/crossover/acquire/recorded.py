"""The recorded SHA-256 of a checkpoint's files. Runs verify them, so this imports nothing of how files are acquired."""

from pathlib import Path

from crossover.specs.descriptions import CheckpointDescription


def recorded_digests(folder: Path) -> tuple[Path, dict[str, str]]:
    """Read the recorded SHA-256 of the files of a checkpoint that the workflow made or fetched.

    Returns:
        The path of the record, and the SHA-256 of each file of the checkpoint by file name.

    Raises:
        UserError: the record is missing or has changed.
    """
    record = folder / "checkpoint.json"
    return record, CheckpointDescription.load(record).sha256
