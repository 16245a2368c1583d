"""Download a checkpoint of the Hugging Face hub at a pinned commit."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from crossover.errors import UserError
from crossover.files import read_json, sha256
from crossover.specs.checkpoints import HubSpec
from crossover.specs.descriptions import HubDescription

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"


def fetch_checkpoint(spec: HubSpec, folder: Path, check_model_type: Callable[[object], None]) -> None:
    """Write config.json, model.safetensors, tokenizer.json and, last, checkpoint.json with their SHA-256.

    Weights in other formats, which can contain code, are not downloaded. If the commit has no tokenizer.json, as for models of
    images, that file is written with `null`. Interrupted downloads are resumed.

    Args:
        spec: the checkpoint's spec.
        folder: where the files go.
        check_model_type: raises UserError for the model type of an unsupported architecture, before weights are downloaded.

    Raises:
        UserError: the hub, the checkpoint, its commit or a file of it is not available, or its architecture is not supported.
    """
    _require(spec, CONFIG, folder)
    config = read_json(folder / CONFIG)
    check_model_type(config.get("model_type") if isinstance(config, dict) else None)
    _require(spec, WEIGHTS, folder)
    _check_weights(folder / WEIGHTS)
    if _download(spec, TOKENIZER, folder):
        (folder / TOKENIZER).write_text("null\n")
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # of the hub's library
    HubDescription(
        name=spec.name,
        origin=address_on_hub(spec.id, spec.revision),
        sha256={name: sha256(folder / name) for name in (CONFIG, WEIGHTS, TOKENIZER)},
    ).write(folder / "checkpoint.json")


def address_on_hub(identifier: str, revision: str) -> str:
    """Return the web page of a checkpoint on the hub."""
    return f"https://huggingface.co/{identifier}/tree/{revision}"


def _check_weights(path: Path) -> None:
    """Raise UserError unless a safetensors file is complete."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise UserError(f"{path} is not a complete safetensors file ({error}); download it again.") from error


def _require(spec: HubSpec, name: str, folder: Path) -> None:
    """Download a file; raise UserError if the commit has no such file."""
    if missing := _download(spec, name, folder):
        raise _failure(spec, name, missing) from missing


def _download(spec: HubSpec, name: str, folder: Path) -> Exception | None:
    """Download a file with the library of the hub.

    Returns:
        None, or the library's exception if the commit has no such file.

    Raises:
        UserError: the file is not available for any other reason.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        hf_hub_download(spec.id, name, revision=spec.revision, local_dir=folder)
    except RemoteEntryNotFoundError as error:
        return error
    except Exception as error:  # the library and those below it raise many kinds of exceptions
        raise _failure(spec, name, error) from error
    return None


def _failure(spec: HubSpec, name: str, error: Exception) -> UserError:
    reason = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    return UserError(
        f"{name} of {spec.id} at commit {spec.revision} could not be downloaded from the Hugging Face hub ({reason}); check "
        "id, revision and the network, that the weights are one model.safetensors, and, if the hub asks for consent, that "
        "HF_TOKEN is set; then run again."
    )
