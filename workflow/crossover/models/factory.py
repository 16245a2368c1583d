"""Build the model of a run: body, input layer and head as its condition says."""

import math
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from crossover.config.bodies import Body, PermutedBody, RandomBody, RandomInit, ScaledBody, needs_weights, starts_random
from crossover.config.inputs import PermutationInput, TableInput
from crossover.encodings.tokens import Tokens
from crossover.errors import UserError
from crossover.models.activations import fuse_activations
from crossover.models.adapter import Adapter
from crossover.models.derive import adapter_for, check_forward_contract
from crossover.models.embeddings import TokenTable, new_input, scale_input, scale_of, symbol_to_token_ids
from crossover.models.heads import load_pooler, random_pooler
from crossover.models.initialisation import take_scale
from crossover.models.load import load_body, load_config
from crossover.models.lora import add_lora
from crossover.models.module import SequenceModel
from crossover.models.patch_input import load_patch_input, require_patches
from crossover.models.surgery import change_body, copy_groups
from crossover.models.token_table import detach_token_embedding
from crossover.models.trainable import trained_rates
from crossover.seeds import derived_seed
from crossover.specs.descriptions import EncodingDescription
from crossover.specs.runs import ModelSettings


def build_model(spec: ModelSettings, encoding: EncodingDescription, items: Tokens, seed: int) -> SequenceModel:
    """Build the model of a run; see `build_model_and_table`."""
    return build_model_and_table(spec, encoding, items, seed)[0]


def build_model_and_table(
    spec: ModelSettings, encoding: EncodingDescription, items: Tokens, seed: int
) -> tuple[SequenceModel, nn.Module]:
    """Build the model of a run, with the parameters that are trained set.

    Body, input layer and head draw from generators of their own, so that two conditions with one seed share what they have
    in common.

    Args:
        spec: of the run, or one of an analysis' models.
        encoding: of the run's tokens.
        items: the training split, which the scale of a new input layer is measured on.
        seed: the run's seed.

    Returns:
        The model, and the token embeddings or the input layer of patches that its body was made with, as `build_body` returns
        them.

    Raises:
        UserError: the checkpoint cannot be loaded, its maximum length is too short for the sequences, or the condition names
            blocks or tokens that it does not have.
    """
    spec = _with_own_seeds(spec, seed)
    folder = Path(spec.checkpoint.folder)
    config = load_config(folder)
    adapter = adapter_for(config)
    if spec.dropout is not None:
        for name in adapter.dropouts:
            setattr(config, name, spec.dropout)
    zero_positions = adapter.zero_positions if spec.vit_positions == "zeros" else None
    max_length = None if zero_positions else adapter.max_length(config)
    if max_length is not None and encoding.longest > max_length:
        otherwise = ", or set vit_positions of the recipe to zeros" if adapter.zero_positions else ""
        raise UserError(
            f"results/tokens/{spec.tokens} has sequences of {encoding.longest} positions, but checkpoint "
            f"{spec.checkpoint.name} has only {max_length}; shorten the task's encoding or take another checkpoint{otherwise}."
        )

    own_tokens = spec.input not in ("new", "re-embedded")
    pretrained = load_body(folder, config) if own_tokens or needs_weights(spec.body) else None
    table = _own_input(pretrained, adapter, folder) if pretrained else None
    body, replaced = build_body(spec.body, pretrained, table, config, seed, spec.random_init)
    if zero_positions:
        zero_positions(body, encoding.longest)

    torch.manual_seed(derived_seed(seed, "input"))
    input_layer: nn.Module
    if spec.input == "new":
        input_layer = fresh = new_input(encoding, adapter.widths(config)[0], padding=spec.head.pads)
        if spec.input_scale == "checkpoint":
            scale_input(fresh, items, scale_of(replaced))
        elif isinstance(spec.input_scale, float):
            scale_input(fresh, items, spec.input_scale)
    elif own_tokens and isinstance(table, nn.Linear):
        input_layer = require_patches(table, encoding, folder)
    else:
        embedding = _require_embedding(table if own_tokens else random_token_embedding(config), config)
        ids = symbol_to_token_ids(spec.input, encoding, embedding.num_embeddings, folder / "tokenizer.json")
        input_layer = TokenTable(embedding, ids)

    pooler = None
    if spec.head.pooler == "pretrained":
        torch.manual_seed(derived_seed(seed, "pooler"))
        drawn = starts_random(spec.body)
        pooler = random_pooler(config, adapter) if drawn else load_pooler(folder, config, adapter)
    torch.manual_seed(derived_seed(seed, "head"))
    dropout = spec.input_dropout if spec.input == "new" else 0.0
    model = SequenceModel(body, input_layer, encoding.target, adapter, encoding.separator, dropout, spec.head, pooler)
    for number, part in enumerate(spec.trained):
        if part.lora:
            add_lora(body, adapter, part, derived_seed(seed, f"lora {number}"))
    model.mixed = spec.precision == "bf16"
    model.rates = trained_rates(model, spec.trained, adapter, "embeddings" if own_tokens else "input")
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in model.rates
    return model, replaced


def _own_input(pretrained: PreTrainedModel, adapter: Adapter, folder: Path) -> nn.Module:
    """Take the token embeddings out of a checkpoint's body; return them, or its input layer if it was pretrained on patches."""
    table = detach_token_embedding(pretrained, adapter)
    return load_patch_input(folder) or table


def _with_own_seeds(spec: ModelSettings, seed: int) -> ModelSettings:
    """Return the settings with numbers for every `seed: run`, which follow from the run's seed."""
    body, entry = spec.body, spec.input
    if isinstance(body, PermutedBody) and body.seed == "run":
        body = body.model_copy(update={"seed": derived_seed(seed, "block order")})
    if isinstance(entry, PermutationInput | TableInput) and entry.seed == "run":
        entry = entry.model_copy(update={"seed": derived_seed(seed, "token map")})
    return spec.model_copy(update={"body": body, "input": entry})


def build_body(
    settings: Body,
    pretrained: PreTrainedModel | None,
    table: nn.Module | None,
    config: PretrainedConfig,
    seed: int,
    random_init: RandomInit | None = None,
) -> tuple[PreTrainedModel, nn.Module]:
    """Build the body of a condition, without token embeddings: sequences enter through the input layer.

    Args:
        settings: the condition's body.
        pretrained: the checkpoint's body without its token embeddings, which may be changed; None for a random body.
        table: the token embeddings of the checkpoint, or its input layer of patches; None for a random body.
        config: the checkpoint's.
        seed: the run's seed.
        random_init: how a random body is drawn.

    Returns:
        The body, and an input layer of the scale that it expects: the checkpoint's, or the token embeddings of a random body.

    Raises:
        UserError: the settings name blocks that the body does not have.
    """
    adapter = adapter_for(config)
    body, replaced = pretrained, table
    if starts_random(settings):
        torch.manual_seed(derived_seed(seed, "body"))
        body = random_body(config, random_init)
        drawn = detach_token_embedding(body, adapter)
        replaced = table if _has_scale_of_positions(settings) else drawn
    assert body is not None
    assert replaced is not None
    if isinstance(settings, RandomBody):
        assert pretrained is not None
        copy_groups(body, pretrained, settings.kept, adapter)
    elif isinstance(settings, ScaledBody):
        assert pretrained is not None
        take_scale(body, pretrained, settings, adapter)
    elif not isinstance(settings, str):
        change_body(body, adapter, settings, torch.Generator().manual_seed(derived_seed(seed, "surgery")))
    fuse_activations(body)
    return body, replaced


def _has_scale_of_positions(settings: Body) -> bool:
    """Return whether a body that starts random has the checkpoint's positions, or their scale, to which inputs are added."""
    match settings:
        case RandomBody(kept=kept):
            return "positions" in kept
        case ScaledBody():
            return settings.changes("positions")
    return False


def random_body(config: PretrainedConfig, init: RandomInit | None = None) -> PreTrainedModel:
    """Return a body with the architecture's own initialisation, drawn from torch's global generator.

    Args:
        config: the checkpoint's.
        init: `gpt2-2020` draws all matrices of GPT-2 with one deviation, as transformers 4.1.1 did, with which
            Lu et al. (2021) drew their random bodies; other architectures are drawn as they are now.
    """
    adapter = adapter_for(config)
    body = adapter.body_of(AutoModel.from_config(config, **adapter.load_options))
    check_forward_contract(body, adapter)
    if init == "gpt2-2020" and config.model_type == "gpt2":
        _undo_residual_scaling(body)
    return body


@torch.no_grad()
def _undo_residual_scaling(body: PreTrainedModel) -> None:
    """Draw the projections into GPT-2's residual stream, which are divided by the root of their number, undivided."""
    for name, parameter in body.named_parameters():
        if name.endswith("c_proj.weight"):
            parameter.mul_(math.sqrt(2 * body.config.n_layer))


def random_token_embedding(config: PretrainedConfig) -> nn.Module:
    """Return token embeddings with the architecture's own initialisation (Kao & Lee 2021, `rand_embed`)."""
    without_padding = deepcopy(config)
    without_padding.pad_token_id = None  # whose row would be 0
    return detach_token_embedding(random_body(without_padding), adapter_for(config))


def _require_embedding(table: nn.Module | None, config: PretrainedConfig) -> nn.Embedding:
    if not isinstance(table, nn.Embedding):
        raise UserError(
            f"checkpoints of the architecture {config.model_type} have no token embeddings, which the condition's input asks "
            "for; choose input new."
        )
    return table
