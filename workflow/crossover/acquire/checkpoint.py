"""A checkpoint of the Hugging Face hub at a pinned commit."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

from crossover.errors import UserError
from crossover.files import read_json, sha256, write_sealed_json
from crossover.models.architecture import check_type

NEEDED = ("config.json", "model.safetensors")
TOKENIZER = "tokenizer.json"


def fetch_checkpoint(spec: dict[str, Any], folder: Path) -> None:
    """Write config.json, model.safetensors, tokenizer.json and, last, checkpoint.json with their SHA-256.

    Weights in other forms, which can hold code, are not fetched. Where the hub has no tokenizer.json, as for models of images,
    that file holds `null`. A download that broke off goes on where it ended.

    Args:
        spec: the checkpoint's spec; `id` and `revision` say what is fetched.
        folder: where the files go.

    Raises:
        UserError: the hub, the checkpoint, its commit or a file of it is not to be had, or crossover has no view of its
            architecture.
    """
    for name in NEEDED:
        if absent := _download(spec, name, folder):
            raise _refusal(spec, name, absent) from absent
        check_file_of_checkpoint(folder / name)
    if _download(spec, TOKENIZER, folder):
        (folder / TOKENIZER).write_text("null\n")
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # of the hub's library
    write_sealed_json(
        folder / "checkpoint.json",
        {
            "name": spec["name"],
            "origin": address_on_hub(spec["id"], spec["revision"]),
            "sha256": {name: sha256(folder / name) for name in (*NEEDED, TOKENIZER)},
        },
    )


def address_on_hub(identifier: str, revision: str) -> str:
    """Where a person finds a checkpoint of the hub."""
    return f"https://huggingface.co/{identifier}/tree/{revision}"


def check_file_of_checkpoint(path: Path) -> None:
    """Refuse a config whose architecture is unknown, and weights that are not whole, before more is done with them.

    Raises:
        UserError: the file is damaged, or there is no view of the architecture.
    """
    from safetensors import SafetensorError, safe_open

    if path.name == "config.json":
        config = read_json(path)
        check_type(config.get("model_type") if isinstance(config, dict) else None)
        return
    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}); fetch it again.") from error


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
