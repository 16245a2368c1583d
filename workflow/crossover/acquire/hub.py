"""Download a dataset of the Hugging Face hub at a pinned commit, as one Parquet file per split."""

import sys
import tempfile
from pathlib import Path

from crossover.acquire.acquired import UNFINISHED, Acquired
from crossover.config.datasets import HubDataset
from crossover.errors import UserError
from crossover.files import replacing, tree_digest
from crossover.specs.datasets import DatasetSpec

ROWS_PER_BATCH = 256  # that many images are in memory at once


def acquire(dataset: HubDataset, spec: DatasetSpec, folder: Path, workers: int) -> Acquired:
    """Write `<split>.parquet` for each requested split, with the rows and columns of the hub.

    Code that comes with a dataset is never run: the library reads data files only.

    Raises:
        UserError: the hub, the dataset, its commit or a split is not available.
    """
    import datasets

    if spec.sha256 is not None and tree_digest(Path(dataset.id)) != spec.sha256:
        raise UserError(f"the files in {dataset.id} have changed since this was planned; run snakemake again.")
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    for name, split in dataset.splits.items():
        _write_split(dataset, split, folder / f"{name}.parquet")
    where = _described(dataset)
    origin = where if spec.sha256 is not None else f"https://huggingface.co/datasets/{where}"
    return Acquired(folder, [f"{name}.parquet" for name in dataset.splits], origin, dataset.revision)


def _write_split(dataset: HubDataset, split: str, path: Path) -> None:
    import datasets
    from datasets.table import embed_table_storage

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=UNFINISHED) as cache:
        try:
            table = datasets.load_dataset(
                dataset.id, dataset.config, split=split, revision=dataset.revision, cache_dir=cache
            )
        except Exception as error:  # the library raises many kinds of exceptions
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UserError(
                f"split {split} of {_described(dataset)} at commit {dataset.revision} could not be downloaded from the "
                f"Hugging Face hub ({reason}); check id, config, revision, split and the network, then run again."
            ) from error
        # Images that are separate files on the hub are only paths into the cache; embed their bytes.
        embedded = table.with_format("arrow").map(embed_table_storage, batched=True, batch_size=ROWS_PER_BATCH)
        with replacing(path) as temporary:
            embedded.to_parquet(temporary)


def _described(dataset: HubDataset) -> str:
    return f"{dataset.id}, {dataset.config}" if dataset.config else dataset.id
