"""A transformer body between a new input layer and a new head: what a condition trains."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from crossover.errors import UserError
from crossover.models.architecture import Architecture, architecture_of, group_of
from crossover.models.surgery import change_body

# Gain of the orthogonal initialisation of linear input layers in Lu et al.'s code (fpt.py, `orth_gain`).
ORTHOGONAL_GAIN = 1.41


class SequenceModel(nn.Module):
    """Sequences in, logits of a target out.

    The read-out positions are the last real ones of each sequence, never padding: the last position for a
    class or a number, the last `positions` ones for bits (Lu et al. 2021, section 2.2).
    """

    def __init__(self, body: PreTrainedModel, input_layer: nn.Module, target: dict[str, Any], width: int) -> None:
        super().__init__()
        self.input = input_layer
        self.body = body
        self.read_out = target.get("positions", 1)
        self.shape = _shape_of(target)
        self.head = nn.Linear(width, int(np.prod(self.shape)))

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Predict.

        Args:
            values: symbols as int64 [batch, longest], or patches as float32 [batch, longest, width]; right padded.
            lengths: int64 [batch], the real positions of each sequence.

        Returns:
            Logits, float32 [batch, classes] or [batch, positions, bits, 2]; of a number, the answer [batch, 1].
        """
        longest = values.shape[1]
        mask = torch.arange(longest, device=values.device) < lengths[:, None]
        hidden = self.body(inputs_embeds=self.input(values), attention_mask=mask.long()).last_hidden_state
        back = torch.arange(-self.read_out, 0, device=values.device)
        positions = lengths[:, None] + back
        read = hidden.gather(1, positions[:, :, None].expand(-1, -1, hidden.shape[2]))
        logits = self.head(read).unflatten(-1, self.shape)
        return logits[:, 0] if len(self.shape) == 1 else logits


def _shape_of(target: dict[str, Any]) -> tuple[int, ...]:
    """The logits of one position: a value for each class, two for each bit, or one number."""
    match target["kind"]:
        case "class":
            return (len(target["classes"]),)
        case "bits":
            return (target["bits"], 2)
    return (1,)


def build_model(spec: dict[str, Any], encoding: dict[str, Any], seed: int) -> SequenceModel:
    """Build the model of a run: body, input and head, with the trained groups set.

    Body, input and head draw from generators of their own, so that two conditions with one seed share what
    they have in common.

    Args:
        spec: the run's spec; `checkpoint.folder`, `training.dropout`, `body`, `input` and `trained` are read.
        encoding: the encoding.json of the run's tokens.
        seed: the run's seed.

    Raises:
        UserError: the checkpoint cannot be loaded, or its positions are too few for the sequences.
    """
    folder = Path(spec["checkpoint"]["folder"])
    config = load_config(folder)
    architecture = architecture_of(config.model_type)
    if spec["training"]["dropout"] is not None:
        for name in architecture.dropouts:
            setattr(config, name, spec["training"]["dropout"])
    positions, (input_width, width) = architecture.longest(config), architecture.widths(config)
    if positions is not None and encoding["longest"] > positions:
        raise UserError(
            f"results/tokens/{spec['tokens']} has sequences of {encoding['longest']} positions, but checkpoint "
            f"{spec['checkpoint']['name']} has only {positions}; shorten the task's encoding or take another checkpoint."
        )
    torch.manual_seed(derived_seed(seed, "body"))
    if spec["body"] == "random":
        body = architecture.body_of(AutoModel.from_config(config, **architecture.options))
    else:
        body = load_body(folder, config)
    if isinstance(spec["body"], dict):
        generator = torch.Generator().manual_seed(derived_seed(seed, "surgery"))
        change_body(body, architecture, spec["body"], generator)
    # Sequences enter through a new layer: the checkpoint's own token table would only take memory.
    body.set_submodule(architecture.token_table, nn.Identity())
    torch.manual_seed(derived_seed(seed, "input"))
    input_layer = new_input(encoding, input_width)
    torch.manual_seed(derived_seed(seed, "head"))
    model = SequenceModel(body, input_layer, encoding["target"], width)
    train_only(model, spec["trained"], architecture)
    return model


def derived_seed(seed: int, purpose: str) -> int:
    """A seed for one purpose of a run, independent of those for other purposes."""
    return int(np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1)[0])


def new_input(encoding: dict[str, Any], width: int) -> nn.Module:
    """A fresh input layer: a table for symbols, N(0, 1) as in PyTorch; a linear layer for patches.

    The linear layer is orthogonal with Lu et al.'s gain and zero bias, as in their code.
    """
    if encoding["vocabulary"] is not None:
        return nn.Embedding(len(encoding["vocabulary"]), width)
    layer = nn.Linear(encoding["width"], width)
    nn.init.orthogonal_(layer.weight, gain=ORTHOGONAL_GAIN)
    nn.init.zeros_(layer.bias)
    return layer


def train_only(model: SequenceModel, groups: list[str], architecture: Architecture) -> None:
    """Let gradients reach the parameters of the given groups and no others."""
    model.input.requires_grad_("input" in groups)
    model.head.requires_grad_("head" in groups)
    for name, parameter in model.body.named_parameters():
        parameter.requires_grad = group_of(architecture, name) in groups


def load_body(folder: Path, config: PretrainedConfig) -> PreTrainedModel:
    """Load a checkpoint's weights, from safetensors only.

    Args:
        folder: holds model.safetensors.
        config: the checkpoint's config, whose dropout may have been changed.

    Raises:
        UserError: the file is missing or damaged, or tensors are missing from it or have other shapes.
    """
    disable_progress_bar()
    set_verbosity_error()  # what matters of the loading report is said below
    architecture = architecture_of(config.model_type)
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
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(
            f"{folder}/model.safetensors lacks {', '.join(missing[:5])}; it is not a checkpoint of this architecture."
        )
    for name, stored, expected in sorted(report["mismatched_keys"]):
        raise UserError(
            f"{folder}/model.safetensors has {name} of shape {list(stored)}, but {folder}/config.json describes "
            f"{list(expected)}; fetch or make the checkpoint again."
        )
    return architecture.body_of(model)


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
        architecture_of(str(settings.get("model_type") if isinstance(settings, dict) else None))
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, StrictDataclassError) as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise UserError(
            f"{folder}/config.json cannot be read ({reason}); fetch or make the checkpoint again."
        ) from error
