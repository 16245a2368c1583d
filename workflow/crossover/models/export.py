"""A trained model as a checkpoint in Hugging Face form: its body with token embeddings, without input layer and head."""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from crossover.models.adapter import Adapter
from crossover.models.derive import adapter_for
from crossover.models.embeddings import TokenTable
from crossover.models.lora import original_name
from crossover.models.module import SequenceModel
from crossover.models.patch_input import patch_input_state
from crossover.models.save import save_model
from crossover.models.surgery import keep_blocks


def export_body(model: SequenceModel, replaced: nn.Module, config: PretrainedConfig, out: Path) -> None:
    """Write config.json and model.safetensors, as `load_body` and transformers' AutoModel read them.

    LoRA adapters are merged into the weights that they are added to. Token embeddings are those that sequences entered through,
    or those that a new input layer has replaced; likewise the input layer of a checkpoint that was pretrained on patches. A pooler of the checkpoint goes along; a new one belongs to the head.

    Args:
        model: of a run; its adapters are merged in place.
        replaced: the input layer that the body was built without, as `build_model_and_table` returns it.
        config: of the checkpoint that the run started from.
        out: where the files go.
    """
    adapter = adapter_for(config)
    keep_blocks(config, adapter, getattr(model.body.config, adapter.depth))  # its dropout stays the checkpoint's own
    torch.manual_seed(0)  # what the body does not use, such as ViT's class token, is drawn, the same each time
    whole: PreTrainedModel = AutoModel.from_config(config, **adapter.load_options)
    tensors = whole.state_dict(keep_vars=True)
    body = adapter.body_of(whole)
    table = model.input.table if isinstance(model.input, TokenTable) else replaced
    patch_input = patch_input_state(table) if isinstance(table, nn.Linear) else {}
    if not patch_input:
        _write_back_tokens(table, body, adapter, config)
    missing, unexpected = body.load_state_dict(_merged(model.body), strict=False)
    assert not unexpected and all(name.startswith(adapter.token_table) for name in missing), (missing, unexpected)
    adapter.write_back(body, whole)
    used = {id(tensor) for tensor in body.state_dict(keep_vars=True).values()}
    whole_used = not config.is_encoder_decoder  # whose decoder has learned nothing
    state = {name: tensor for name, tensor in tensors.items() if whole_used or id(tensor) in used} | patch_input
    if adapter.pooler and model.read_settings.pooler == "pretrained":
        state |= {
            f"{adapter.pooler}.{name}": value for name, value in model.pooler.get_submodule("dense").named_parameters()
        }
    save_model(whole, out, state)


@torch.no_grad()
def _write_back_tokens(table: nn.Module, body: nn.Module, adapter: Adapter, config: PretrainedConfig) -> None:
    """Copy token embeddings, as the body scales them, into the body that is written."""
    own = body.get_submodule(adapter.token_table)
    own.load_state_dict(table.state_dict())
    if adapter.token_scale(config) != 1:
        own.get_parameter("weight").div_(adapter.token_scale(config))


def _merged(body: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a body by their names without LoRA adapters, which are merged into them."""
    for module in body.modules():
        if hasattr(module, "lora_A"):
            module.merge()  # type: ignore[operator]  # a layer of peft, which takes two seconds to import
    named = ((*original_name(name), tensor) for name, tensor in body.state_dict().items())
    return {original: tensor for original, is_lora, tensor in named if not is_lora}
