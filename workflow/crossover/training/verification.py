"""The files of a checkpoint, compared with their recorded digests before anything is read from them."""

from pathlib import Path

from crossover.acquire.recorded import recorded_digests
from crossover.errors import UserError
from crossover.files import check_file, sha256, tree_digest
from crossover.specs.checkpoints import CheckpointFiles


def verify_checkpoint(checkpoint: CheckpointFiles) -> str:
    """Compare a checkpoint's files with the digests that were recorded when it was made or planned.

    Returns:
        The SHA-256 of its weights, or of the config of an architecture without weights.

    Raises:
        UserError: a file is missing or has changed since.
    """
    folder = Path(checkpoint.folder)
    if checkpoint.sha256 is not None:  # a user's own folder, read in place
        if not (folder / "model.safetensors").is_file():
            raise UserError(
                f"{folder}/model.safetensors is missing; run snakemake again, which converts other formats."
            )
        if tree_digest(folder) != checkpoint.sha256:
            raise UserError(f"{folder} has changed since this run was planned; run snakemake again.")
        return sha256(folder / "model.safetensors")
    record, recorded = recorded_digests(folder)
    for name, digest in recorded.items():
        check_file(folder / name, digest, f"{record} describes", record.parent)
    return recorded.get("model.safetensors") or recorded["config.json"]
