"""Download a checkpoint of the Hugging Face hub at a pinned commit."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from crossover.acquire.formats import CONFIG, PICKLE, SHARDS, TOKENIZER, VOCABULARY, WEIGHTS, shard_names
from crossover.errors import UserError
from crossover.specs.checkpoints import HubSource


def fetch_from_hub(source: HubSource, folder: Path, check: Callable[[Path], None]) -> None:
    """Download config, weights and tokenizer in the first of their formats that the commit has.

    Interrupted downloads are resumed.

    Args:
        source: the checkpoint.
        folder: where the files go.
        check: raises UserError for a config.json that does not fit, before weights are downloaded.

    Raises:
        UserError: the hub, the checkpoint, its commit or a file of it is not available.
    """
    if missing := _download(source, CONFIG, folder):
        raise _failure(source, CONFIG, missing) from missing
    check(folder)
    _first_of(source, (WEIGHTS, SHARDS, PICKLE), folder)
    if (folder / SHARDS).is_file():
        for name in shard_names(folder / SHARDS):
            if missing := _download(source, name, folder):
                raise _failure(source, name, missing) from missing
    if _download(source, TOKENIZER, folder):
        _download(source, VOCABULARY, folder)


def address_on_hub(identifier: str, revision: str) -> str:
    """Return the web page of a checkpoint on the hub."""
    return f"https://huggingface.co/{identifier}/tree/{revision}"


def _first_of(source: HubSource, names: tuple[str, ...], folder: Path) -> None:
    """Download the first of the files that the commit has; raise UserError if it has none."""
    for name in names:
        missing = _download(source, name, folder)
        if missing is None:
            return
    raise _failure(source, ", ".join(names[:-1]) + f" or {names[-1]}", missing) from missing


def _download(source: HubSource, name: str, folder: Path) -> Exception | None:
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
        hf_hub_download(source.id, name, revision=source.revision, local_dir=folder)
    except RemoteEntryNotFoundError as error:
        return error
    except Exception as error:  # the library and those below it raise many kinds of exceptions
        raise _failure(source, name, error) from error
    return None


def _failure(source: HubSource, name: str, error: Exception | None) -> UserError:
    reason = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    return UserError(
        f"{name} of {source.id} at commit {source.revision} could not be downloaded from the Hugging Face hub ({reason}); check "
        "id, revision and the network, and, if the hub asks for consent, that HF_TOKEN is set; then run again."
    )
