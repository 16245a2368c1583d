"""A checkpoint of the Hugging Face hub at a pinned commit."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crossover.errors import UserError
from crossover.files import read_json, sha256, write_sealed_json

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"


def fetch_checkpoint(spec: dict[str, Any], folder: Path, check_model_type: Callable[[object], None]) -> None:
    """Write config.json, model.safetensors, tokenizer.json and, last, checkpoint.json with their SHA-256.

    Weights in other forms, which can hold code, are not fetched. Where the hub has no tokenizer.json, as for models of images,
    that file holds `null`. A download that broke off goes on where it ended.

    Args:
        spec: the checkpoint's spec; `id` and `revision` say what is fetched.
        folder: where the files go.
        check_model_type: raises UserError for a model type that cannot be used, before the weights are downloaded.

    Raises:
        UserError: the hub, the checkpoint, its commit or a file of it cannot be downloaded, or its model type cannot be used.
    """
    _require(spec, CONFIG, folder)
    config = read_json(folder / CONFIG)
    check_model_type(config.get("model_type") if isinstance(config, dict) else None)
    _require(spec, WEIGHTS, folder)
    _check_weights(folder / WEIGHTS)
    if _download(spec, TOKENIZER, folder):
        (folder / TOKENIZER).write_text("null\n")
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # of the hub's library
    write_sealed_json(
        folder / "checkpoint.json",
        {
            "name": spec["name"],
            "origin": address_on_hub(spec["id"], spec["revision"]),
            "sha256": {name: sha256(folder / name) for name in (CONFIG, WEIGHTS, TOKENIZER)},
        },
    )


def address_on_hub(identifier: str, revision: str) -> str:
    """Where a person finds a checkpoint of the hub."""
    return f"https://huggingface.co/{identifier}/tree/{revision}"


def _check_weights(path: Path) -> None:
    """Raise UserError unless a safetensors file is whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}); fetch it again.") from error


def _require(spec: dict[str, Any], name: str, folder: Path) -> None:
    """Download a file; raise UserError where there is none."""
    if absent := _download(spec, name, folder):
        raise _refusal(spec, name, absent) from absent


def _download(spec: dict[str, Any], name: str, folder: Path) -> Exception | None:
    """Let the hub's own library fetch a file.

    Returns:
        None, or what the hub answered when the commit has no such file.

    Raises:
        UserError: it is not to be had for any other reason.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        hf_hub_download(spec["id"], name, revision=spec["revision"], local_dir=folder)
    except RemoteEntryNotFoundError as error:
        return error
    except Exception as error:  # the library and those below it have their own kind for each of many troubles
        raise _refusal(spec, name, error) from error
    return None


def _refusal(spec: dict[str, Any], name: str, error: Exception) -> UserError:
    reason = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    return UserError(
        f"{name} of {spec['id']} at commit {spec['revision']} could not be had from the Hugging Face hub ({reason}); check id, "
        "revision and the network, that the checkpoint has its weights as one model.safetensors, and, where it asks for "
        "consent, that HF_TOKEN is set; then run again."
    )
