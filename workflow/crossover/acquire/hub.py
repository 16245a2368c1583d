"""A dataset of the Hugging Face hub at a pinned commit, as one Parquet file for each split."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from crossover.acquire.registry import UNFINISHED, Acquired
from crossover.errors import UserError
from crossover.files import replacing, tree_digest

EMBEDDED_AT_ONCE = 256  # rows, so that as many images are held in memory


def acquire(settings: dict[str, Any], folder: Path, workers: int) -> Acquired:
    """Write `<split>.parquet` for each split that is asked for, with the rows and columns that the hub has.

    Code that comes with a dataset is never run: the library reads data files only.

    Raises:
        UserError: the hub, the dataset, its commit or a split is not to be had.
    """
    import datasets
    from datasets.table import embed_table_storage

    if "sha256" in settings and tree_digest(Path(settings["id"])) != settings["sha256"]:
        raise UserError(f"the files in {settings['id']} have changed since this was planned; run snakemake again.")
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    files = []
    where = f"{settings['id']}{', ' + settings['config'] if settings['config'] else ''}"
    for name, split in settings["splits"].items():
        with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as cache:
            try:
                table = datasets.load_dataset(
                    settings["id"], settings["config"], split=split, revision=settings["revision"], cache_dir=cache
                )
            except Exception as error:  # the library has its own kind for each of many troubles
                reason = str(error).strip().partition("\n")[0] or type(error).__name__
                raise UserError(
                    f"split {split} of {where} at commit {settings['revision']} could not be had from the Hugging Face "
                    f"hub ({reason}); check id, config, revision, split and the network, then run again."
                ) from error
            # Images that are files of their own on the hub lie in the cache, and only by their paths in the table.
            whole = table.with_format("arrow").map(embed_table_storage, batched=True, batch_size=EMBEDDED_AT_ONCE)
            with replacing(folder / f"{name}.parquet") as temporary:
                whole.to_parquet(temporary)
        files.append(f"{name}.parquet")
    origin = where if "sha256" in settings else f"https://huggingface.co/datasets/{where}"
    return Acquired(folder, files, {"origin": origin, "version": settings["revision"]})
