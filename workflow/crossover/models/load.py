"""Checkpoints in Hugging Face form, read from a folder."""

import re
from pathlib import Path

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from crossover.errors import UserError
from crossover.models import lstm  # noqa: F401  (which makes it known to transformers)
from crossover.models.architecture import check_type
from crossover.models.derive import check_reading, view_of


def load_body(folder: Path, config: PretrainedConfig) -> PreTrainedModel:
    """Load a checkpoint's weights, from safetensors only.

    Args:
        folder: holds model.safetensors.
        config: the checkpoint's config, whose dropout may have been changed.

    Raises:
        UserError: the file is missing or damaged, or has too few tensors, too many, or of other shapes.
    """
    disable_progress_bar()
    set_verbosity_error()  # what matters of the loading report is said below
    architecture = view_of(config)
    try:
        model, report = AutoModel.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # reported below, by name
            output_loading_info=True,
            **architecture.options,
        )
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise UserError(
            f"{folder}/model.safetensors cannot be loaded ({reason}); fetch or make the checkpoint again."
        ) from error
    body = architecture.body_of(model)
    tensors = model.state_dict(keep_vars=True)
    # A decoder that is not read may be missing, as it is from the file of an encoder alone.
    read = {id(tensor) for tensor in body.state_dict(keep_vars=True).values()}
    missing = sorted(key for key in report["missing_keys"] if key not in tensors or id(tensors[key]) in read)
    if missing:
        raise UserError(
            f"{folder}/model.safetensors lacks {', '.join(missing[:5])}; it is not a checkpoint of this architecture."
        )
    own = {name for name, _ in model.named_children()}  # what is beside them is a head or a pooler of a task
    strange = [key for key in sorted(report["unexpected_keys"]) if _without_prefix(key, model).split(".")[0] in own]
    if strange:
        raise UserError(
            f"{folder}/model.safetensors has {', '.join(strange[:5])}, which {folder}/config.json does not describe; fetch or "
            "make the checkpoint again."
        )
    for name, stored, expected in sorted(report["mismatched_keys"]):
        raise UserError(
            f"{folder}/model.safetensors has {name} of shape {list(stored)}, but {folder}/config.json describes "
            f"{list(expected)}; fetch or make the checkpoint again."
        )
    for tensor in (*body.parameters(), *body.buffers()):
        tensor.data = tensor.data.clone()  # else it lies in the file, and whoever writes that anew changes it
    check_reading(body, architecture)
    return body


def _without_prefix(key: str, model: PreTrainedModel) -> str:
    """The name of a tensor in a file that holds a task's model, as the model without its head has it."""
    return key.removeprefix(f"{model.base_model_prefix}.")


def load_config(folder: Path) -> PretrainedConfig:
    """The config of a checkpoint whose architecture crossover has a view of.

    Raises:
        UserError: it is missing or damaged, or there is no view.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{path} is missing; a checkpoint is a folder with config.json and model.safetensors.")
    try:
        settings, _ = PretrainedConfig.get_config_dict(folder, local_files_only=True)
        # Before transformers sees it: for a type that it does not know, it would offer to run code from the folder.
        check_type(settings.get("model_type") if isinstance(settings, dict) else None)
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, StrictDataclassError) as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise UserError(
            f"{folder}/config.json cannot be read ({reason}); fetch or make the checkpoint again."
        ) from error
