"""A transformer body between an input layer and a new head: what a condition trains."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from crossover.errors import UserError
from crossover.models.architecture import Architecture, group_of
from crossover.models.derive import check_reading, view_of
from crossover.models.embeddings import TokenTable, new_input, tokens_of_symbols
from crossover.models.load import load_body, load_config
from crossover.models.lora import add_lora, layer_of
from crossover.models.surgery import block_of, blocks_of, change_body, chosen_blocks, keep_groups

Settings = str | dict[str, Any]


class SequenceModel(nn.Module):
    """Sequences in, logits of a target out.

    The read-out positions are the last real ones of each sequence, never padding: the last position for a
    class or a number, the last `positions` ones for bits (Lu et al. 2021, section 2.2).

    Attributes:
        separator: the symbol that ends the first segment of a sequence; None where the body does not tell segments apart.
        rates: the parameters that are trained, each with its multiple of the learning rate.
        mixed: whether matrix products are computed in bf16.
    """

    def __init__(
        self, body: PreTrainedModel, input_layer: nn.Module, encoding: dict[str, Any], architecture: Architecture
    ) -> None:
        super().__init__()
        target = encoding["target"]
        self.input = input_layer
        self.body = body
        self.separator = encoding.get("separator") if architecture.tells_segments(body.config) else None
        self.positions = target.get("positions", 1)
        self.shape = _shape_of(target)
        self.head = nn.Linear(architecture.widths(body.config)[1], int(np.prod(self.shape)))
        self.rates: dict[str, float] = {}
        self.mixed = False

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Predict.

        Args:
            values: symbols as int64 [batch, longest], or patches as float32 [batch, longest, width]; right padded.
            lengths: int64 [batch], the real positions of each sequence.

        Returns:
            Logits, float32 [batch, classes] or [batch, positions, bits, 2]; of a number, the answer [batch, 1].
        """
        with torch.autocast(values.device.type, torch.bfloat16, enabled=self.mixed):
            states = self.read(values, lengths).last_hidden_state
            logits = self.head(self.read_out(states, lengths)).float().unflatten(-1, self.shape)
        return logits[:, 0] if len(self.shape) == 1 else logits

    def read(self, values: Tensor, lengths: Tensor, **wanted: Any) -> Any:
        """Let the body read sequences.

        Args:
            values: as in `forward`.
            lengths: as in `forward`.
            wanted: what else the body is given or asked for, such as `output_hidden_states=True`.

        Returns:
            The body's output; its `last_hidden_state` is float32 [batch, longest, width].
        """
        mask = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
        more = {} if self.separator is None else {"token_type_ids": segments(values, self.separator)}
        given = {"inputs_embeds": self.input(values), "attention_mask": mask.long()} | more | wanted
        return self.body(**given)

    def read_out(self, states: Tensor, lengths: Tensor) -> Tensor:
        """The states [batch, longest, width] at the read-out positions, [batch, positions, width]."""
        back = torch.arange(-self.positions, 0, device=states.device)
        places = lengths[:, None] + back
        return states.gather(1, places[:, :, None].expand(-1, -1, states.shape[2]))


class NoTokens(nn.Module):
    """Stands in a body where its token embeddings were; Longformer embeds with them what it adds to fill a window."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, tokens: Tensor) -> Tensor:
        """Zeros, float32 [..., width], for tokens of any shape."""
        return torch.zeros(*tokens.shape, self.width, device=tokens.device)


def segments(symbols: Tensor, separator: int) -> Tensor:
    """The segment of each position, int64 [batch, longest]: 0 up to the first separator and 1 behind it."""
    ends = (symbols == separator).long()
    return (ends.cumsum(1) - ends).clamp(max=1)


def _shape_of(target: dict[str, Any]) -> tuple[int, ...]:
    """The logits of one position: a value for each class, two for each bit, or one number."""
    match target["kind"]:
        case "class":
            return (len(target["classes"]),)
        case "bits":
            return (target["bits"], 2)
    return (1,)


def build_model(spec: dict[str, Any], encoding: dict[str, Any], seed: int) -> SequenceModel:
    """Build the model of a run: body, input and head, with what is trained set.

    Body, input and head draw from generators of their own, so that two conditions with one seed share what
    they have in common.

    Args:
        spec: the run's spec; `checkpoint.folder`, `training.dropout`, `body`, `input` and `trained` are read.
        encoding: the encoding.json of the run's tokens.
        seed: the run's seed.

    Raises:
        UserError: the checkpoint cannot be loaded, its positions are too few for the sequences, or the condition asks for
            blocks or tokens that are not there.
    """
    folder = Path(spec["checkpoint"]["folder"])
    config = load_config(folder)
    architecture = view_of(config)
    if spec["training"]["dropout"] is not None:
        for name in architecture.dropouts:
            setattr(config, name, spec["training"]["dropout"])
    positions = architecture.longest(config)
    if positions is not None and encoding["longest"] > positions:
        raise UserError(
            f"results/tokens/{spec['tokens']} has sequences of {encoding['longest']} positions, but checkpoint "
            f"{spec['checkpoint']['name']} has only {positions}; shorten the task's encoding or take another checkpoint."
        )
    own_tokens = spec["input"] not in ("new", "re-embedded")
    pretrained = load_body(folder, config) if own_tokens or spec["body"] != "random" else None
    table = take_tokens(pretrained, architecture) if pretrained else None
    body = build_body(spec["body"], pretrained, config, seed)
    torch.manual_seed(derived_seed(seed, "input"))
    if spec["input"] == "new":
        input_layer = new_input(encoding, architecture.widths(config)[0])
    else:
        embeddings = _embeddings(table if own_tokens else random_tokens(config), config)
        rows = tokens_of_symbols(spec["input"], encoding, embeddings.num_embeddings, folder / "tokenizer.json")
        input_layer = TokenTable(embeddings, rows)
    torch.manual_seed(derived_seed(seed, "head"))
    model = SequenceModel(body, input_layer, encoding, architecture)
    for number, part in enumerate(spec["trained"]):
        if part["lora"]:
            add_lora(body, architecture, part, derived_seed(seed, f"lora {number}"))
    model.mixed = spec["training"]["precision"] == "bf16"
    model.rates = trained_rates(model, spec["trained"], architecture, "embeddings" if own_tokens else "input")
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in model.rates
    return model


def build_body(
    settings: Settings, pretrained: PreTrainedModel | None, config: PretrainedConfig, seed: int
) -> PreTrainedModel:
    """The body that a condition asks for, without a table of tokens: sequences enter through the input layer.

    Args:
        settings: the condition's body.
        pretrained: the checkpoint's body without its table, which may be changed; None for a random one.
        config: the checkpoint's.
        seed: the run's seed.

    Raises:
        UserError: the settings name blocks that the body does not have.
    """
    architecture = view_of(config)
    changes = {} if isinstance(settings, str) else settings
    body = pretrained
    if "random" in (settings, changes.get("kind"), changes.get("of")):
        torch.manual_seed(derived_seed(seed, "body"))
        body = random_body(config)
        take_tokens(body, architecture)
    assert body is not None
    if "kept" in changes:
        assert pretrained is not None
        keep_groups(body, pretrained, changes["kept"], architecture)
    elif changes:
        change_body(body, architecture, changes, torch.Generator().manual_seed(derived_seed(seed, "surgery")))
    return body


def take_tokens(body: PreTrainedModel, architecture: Architecture) -> nn.Module:
    """Take the token embeddings, or what a body for images has in their place, out of a body."""
    table = body.get_submodule(architecture.token_table)
    scale = architecture.token_scale(body.config)
    if scale != 1:
        with torch.no_grad():
            table.weight *= scale
    body.set_submodule(architecture.token_table, NoTokens(architecture.widths(body.config)[0]))
    return table


def random_body(config: PretrainedConfig) -> PreTrainedModel:
    """A body with the architecture's own initialisation, drawn from torch's generator."""
    architecture = view_of(config)
    body = architecture.body_of(AutoModel.from_config(config, **architecture.options))
    check_reading(body, architecture)
    return body


def random_tokens(config: PretrainedConfig) -> nn.Module:
    """A table of the checkpoint's size with the architecture's own initialisation (Kao & Lee 2021, `rand_embed`)."""
    without_padding = deepcopy(config)
    without_padding.pad_token_id = None  # whose row would be 0
    return take_tokens(random_body(without_padding), view_of(config))


def _embeddings(table: nn.Module | None, config: PretrainedConfig) -> nn.Embedding:
    if not isinstance(table, nn.Embedding):
        raise UserError(
            f"checkpoints of the architecture {config.model_type} have no token embeddings, which the condition's input asks "
            "for; choose input new."
        )
    return table


def derived_seed(seed: int, purpose: str) -> int:
    """A seed for one purpose of a run, independent of those for other purposes."""
    return int(np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1)[0])


def trained_rates(
    model: SequenceModel, trained: list[dict[str, Any]], architecture: Architecture, input_group: str
) -> dict[str, float]:
    """The parameters that are trained, each with its multiple of the learning rate.

    Args:
        model: body, input and head.
        trained: parts of the model (`groups`, `blocks` or None, `rate`, `lora` or None for the weights themselves); where two
            overlap, the later one counts.
        architecture: the view of the body.
        input_group: `input` for an input layer that is new, `embeddings` for the checkpoint's own.

    Raises:
        UserError: a part names blocks that the body does not have, or nothing is left to train.
    """
    places: dict[str, tuple[str, int | None, bool]] = {}
    for name, _ in model.named_parameters():
        (place, inside), added = name.split(".", 1), False
        group, block = {"input": input_group, "head": "head"}.get(place, ""), None
        if place == "body":
            inside, added = layer_of(inside)
            group, block = group_of(architecture, inside), block_of(inside, architecture)
        places[name] = group, block, added
    depth = len(blocks_of(model.body, architecture))
    rates = {}
    for part in trained:
        blocks = chosen_blocks(part["blocks"], depth, "trained") if part["blocks"] else None
        for name, (group, block, added) in places.items():
            if group in part["groups"] and (blocks is None or block in blocks) and added == bool(part["lora"]):
                rates[name] = part["rate"]
    if not rates:
        names = ", ".join(group for part in trained for group in part["groups"])
        raise UserError(
            f"the model has no parameters of the groups that are to be trained ({names}); add head to them."
        )
    return rates
