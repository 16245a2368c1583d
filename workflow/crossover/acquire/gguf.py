"""Checkpoints in the format GGUF of llama.cpp, whose weights are quantised as a rule."""

import io
import tempfile
from contextlib import redirect_stderr
from copy import deepcopy
from pathlib import Path

from crossover.acquire.transfer.http import NOT_WRITTEN
from crossover.errors import UserError
from crossover.files import not_written, replacing

NUMBERS = ("F32", "F16", "BF16")  # kinds of weights that are not quantised


def dequantise(path: Path, folder: Path) -> tuple[str]:
    """Write config.json, model.safetensors and tokenizer.json of a language model in a GGUF file, as transformers reads it.

    Args:
        path: the file.
        folder: where the files go.

    Returns:
        What was done to the weights, in words.

    Raises:
        UserError: the file is damaged, or transformers cannot read its architecture.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()
    set_verbosity_error()
    with tempfile.TemporaryDirectory(dir=folder, prefix=".gguf.") as temporary:
        try:
            words = _treatment(path)
            config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
            plain = AutoModelForCausalLM.from_config(config)
            with redirect_stderr(io.StringIO()):  # a progress bar that cannot be switched off
                stored = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, config=deepcopy(config))
            plain.load_state_dict(stored.state_dict())  # the library does not save what it knows to be quantised
            plain.save_pretrained(temporary)
            tokenizer = PreTrainedTokenizerFast.from_pretrained(path.parent, gguf_file=path.name)
            tokenizer.backend_tokenizer.save(f"{temporary}/tokenizer.json")
        except Exception as error:  # the libraries raise many kinds of exceptions for files that they do not know
            if isinstance(error, OSError) and error.errno in NOT_WRITTEN:
                raise not_written(folder, error) from error
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{path} cannot be de-quantised ({reason}); get it again, or another format.") from error
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            with replacing(folder / name) as beside:
                Path(temporary, name).replace(beside)
    return (words,)


def _treatment(path: Path) -> str:
    """Return what becomes of the weights in a GGUF file, in words."""
    from gguf import LlamaFileType
    from transformers.integrations.gguf import read_gguf_metadata

    metadata, _ = read_gguf_metadata(str(path))
    kind = LlamaFileType(metadata["general.file_type"]).name.partition("_")[2]  # such as MOSTLY_Q4_1
    return f"weights {'converted' if kind in NUMBERS else 'de-quantised'} from {kind} (GGUF)"
