"""Download a dataset of the Hugging Face hub at a pinned commit, as one Parquet file per split."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from crossover.acquire.registry import UNFINISHED, Acquired
from crossover.errors import UserError
from crossover.files import replacing, tree_digest

ROWS_PER_BATCH = 256  # that many images are in memory at once


def acquire(settings: dict[str, Any], folder: Path, workers: int) -> Acquired:
    """Write `<split>.parquet` for each requested split, with the rows and columns of the hub.

    Code that comes with a dataset is never run: the library reads data files only.

    Raises:
        UserError: the hub, the dataset, its commit or a split is not available.
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
            except Exception as error:  # the library raises many kinds of exceptions
                reason = str(error).strip().partition("\n")[0] or type(error).__name__
                raise UserError(
                    f"split {split} of {where} at commit {settings['revision']} could not be downloaded from the Hugging "
                    f"Face hub ({reason}); check id, config, revision, split and the network, then run again."
                ) from error
            # Images that are separate files on the hub are only paths into the cache; embed their bytes.
            embedded = table.with_format("arrow").map(embed_table_storage, batched=True, batch_size=ROWS_PER_BATCH)
            with replacing(folder / f"{name}.parquet") as temporary:
                embedded.to_parquet(temporary)
        files.append(f"{name}.parquet")
    origin = where if "sha256" in settings else f"https://huggingface.co/datasets/{where}"
    return Acquired(folder, files, {"origin": origin, "version": settings["revision"]})
