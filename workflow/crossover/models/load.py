"""Load checkpoints in Hugging Face form from a folder."""

from pathlib import Path

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from crossover.errors import UserError
from crossover.models.derive import adapter_for, check_forward_contract, one_line
from crossover.models.discovery import ADAPTERS, check_model_type


def load_body(folder: Path, config: PretrainedConfig) -> PreTrainedModel:
    """Load a checkpoint's body, from safetensors only.

    Args:
        folder: holds model.safetensors.
        config: the checkpoint's, whose dropout may have been changed.

    Raises:
        UserError: the file is missing or damaged, or has too few tensors, too many, or of other shapes.
    """
    disable_progress_bar()
    set_verbosity_error()  # what matters of the loading report is said below
    adapter = adapter_for(config)
    try:
        model, report = AutoModel.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # reported below, by name
            output_loading_info=True,
            **adapter.load_options,
        )
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{folder}/model.safetensors cannot be loaded ({one_line(error)}); fetch or make the checkpoint again."
        ) from error
    tensors = model.state_dict(keep_vars=True)
    body = adapter.body_of(model)
    # A decoder or a head, which are not used, may be missing: some files hold an encoder alone.
    used = {id(tensor) for tensor in body.state_dict(keep_vars=True).values()}
    missing = sorted(key for key in report["missing_keys"] if key not in tensors or id(tensors[key]) in used)
    if missing:
        raise UserError(
            f"{folder}/model.safetensors lacks {', '.join(missing[:5])}; it is not a checkpoint of this architecture."
        )
    own = {name for name, _ in model.named_children()}  # anything else is the head or pooler of a task
    unexpected = [key for key in sorted(report["unexpected_keys"]) if _without_prefix(key, model).split(".")[0] in own]
    if unexpected:
        raise UserError(
            f"{folder}/model.safetensors has {', '.join(unexpected[:5])}, which {folder}/config.json does not describe; fetch or "
            "make the checkpoint again."
        )
    for name, stored, expected in sorted(report["mismatched_keys"]):
        raise UserError(
            f"{folder}/model.safetensors has {name} of shape {list(stored)}, but {folder}/config.json describes "
            f"{list(expected)}; fetch or make the checkpoint again."
        )
    for tensor in (*body.parameters(), *body.buffers()):
        tensor.data = tensor.data.clone()  # else it is mapped from the file, and changes when that is overwritten
    check_forward_contract(body, adapter)
    return body


def _without_prefix(key: str, model: PreTrainedModel) -> str:
    """Return the name in the plain model of a tensor from a file that holds a model with a head."""
    return key.removeprefix(f"{model.base_model_prefix}.")


def load_config(folder: Path) -> PretrainedConfig:
    """Load a checkpoint's config.

    Raises:
        UserError: it is missing or damaged, or its model type is unknown.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{path} is missing; a checkpoint is a folder with config.json and model.safetensors.")
    try:
        settings, _ = PretrainedConfig.get_config_dict(folder, local_files_only=True)
        # Before transformers sees it: for a type that it does not know, it would offer to run code from the folder.
        model_type = settings.get("model_type") if isinstance(settings, dict) else None
        check_model_type(model_type)
        if model_type in ADAPTERS:
            ADAPTERS[model_type].register()
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, StrictDataclassError) as error:
        raise UserError(
            f"{folder}/config.json cannot be read ({one_line(error)}); fetch or make the checkpoint again."
        ) from error
