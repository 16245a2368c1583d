"""Views of architectures that nobody has described: derived from the modules of a Hugging Face model."""

import inspect
import re
from functools import partial
from operator import methodcaller
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from crossover.errors import UserError
from crossover.models.architecture import ARCHITECTURES, Architecture

ENTRY_WIDTHS = ("embedding_size", "word_embed_proj_dim", "embed_dim")  # where sequences enter narrower than the blocks

_DERIVED: dict[str, Architecture] = {}  # by config: a view is derived once


def view_of(config: PretrainedConfig) -> Architecture:
    """The view of a checkpoint's architecture: described in `models/architecture.py`, or else derived.

    Raises:
        UserError: there is no description, and a piece of a view cannot be found.
    """
    described = ARCHITECTURES.get(config.model_type)
    if described:
        return described
    key = config.to_json_string(use_diff=False)
    if key not in _DERIVED:
        _DERIVED[key] = derive(config)
    return _DERIVED[key]


def derive(config: PretrainedConfig) -> Architecture:
    """Find the blocks and groups of a model by the types and names of its modules; no memory is taken for its weights.

    Norms are told by their class, attention by its name within a block, and the feed-forward layers are the rest of a block.
    Of what lies outside the blocks, positions are told by their name, and the rest belongs to the embeddings.

    Raises:
        UserError: the piece that cannot be found.
    """

    missing = partial(_missing, config)
    model, options = _build(config, missing)
    body_of = methodcaller("get_encoder") if config.is_encoder_decoder else Architecture.body_of
    body = body_of(model)
    taken = inspect.signature(body.forward).parameters
    for name in ("inputs_embeds", "attention_mask"):
        if name not in taken:
            raise missing(f"it does not take {name}")
    paths = {module: path for path, module in body.named_modules()}
    try:
        table = body.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        table = None
    if not isinstance(table, nn.Embedding) or table not in paths:
        raise missing("its token embeddings are no table of its own")
    depth = getattr(config, "num_hidden_layers", None)
    lists = [path for module, path in paths.items() if isinstance(module, nn.ModuleList) and len(module) == depth]
    if not lists:
        raise missing(f"it has no list of {depth} blocks, as many as its config says")
    blocks = min(lists, key=lambda path: path.count("."))
    if sum(path.rpartition(".")[0] == blocks.rpartition(".")[0] for path in lists) > 1:
        raise missing(f"its blocks are spread over several lists ({', '.join(lists[:3])})")
    width = getattr(config, "hidden_size", None)
    entry = [name for name in ENTRY_WIDTHS if getattr(config, name, None) == table.embedding_dim]
    if table.embedding_dim != width and not entry:
        raise missing(f"its tokens are {table.embedding_dim} wide, and no setting that is known to crossover says so")
    if _output_width(body, table.embedding_dim, missing) not in (width, None):
        raise missing("its last hidden states are not as wide as its blocks")
    return Architecture(
        groups=_groups(body, blocks),
        blocks=blocks,
        token_table=paths[table],
        positions=_longest(body, blocks),
        dropouts=tuple(name for name, value in vars(config).items() if _is_dropout(name, value)),
        options=options,
        input_width=entry[0] if table.embedding_dim != width else None,
        segments="type_vocab_size" if hasattr(config, "type_vocab_size") and "token_type_ids" in taken else None,
        body_of=body_of,
    )


def _missing(config: PretrainedConfig, piece: str) -> UserError:
    return UserError(
        f"crossover has no view of the architecture {config.model_type!r} and cannot derive one, since {piece}; described "
        f"are {', '.join(sorted(ARCHITECTURES))}: add an entry to workflow/crossover/models/architecture.py."
    )


def check_reading(body: PreTrainedModel, architecture: Architecture) -> None:
    """Refuse a body, seen through a derived view, that reads otherwise than crossover lets it read.

    Names and types do not tell whether padding changes what stands before it, as it does where a model mixes neighbours
    outside of its attention, nor whether tokens enter as the rows of their table.

    Raises:
        UserError: what the body does otherwise.
    """
    if architecture in ARCHITECTURES.values():
        return
    missing = partial(_missing, body.config)
    special = {value for name, value in vars(body.config).items() if name.endswith("_token_id")}
    table = body.get_input_embeddings()
    ids = torch.tensor([[token for token in range(table.num_embeddings) if token not in special][-9:]])
    training = body.training

    def read(real: int, **given: Tensor) -> Tensor:
        """The states of the real positions; those behind them are masked as padding."""
        [values] = given.values()
        mask = (torch.arange(values.shape[1]) < real).long()[None]
        return body(attention_mask=mask, **given).last_hidden_state[:, :real]

    try:
        body.eval()
        with torch.no_grad():
            embedded = table(ids)
            by_ids, whole = read(9, input_ids=ids), read(9, inputs_embeds=embedded)
            short, padded = read(5, inputs_embeds=embedded[:, :5]), read(5, inputs_embeds=embedded)
    except Exception as error:  # whatever a model of another kind stumbles over
        reason = re.sub(r"\s+", " ", str(error))
        raise missing(f"it cannot read embedded sequences ({reason})") from error
    finally:
        body.train(training)
    if not _equal(whole, by_ids):
        raise missing("it changes the embeddings of tokens on their way in")
    if not _equal(padded, short):
        raise missing("padding changes what it makes of a sequence")


def _equal(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=0, atol=1e-3 * float(other.abs().max()))


def _build(config: PretrainedConfig, missing: Any) -> tuple[Any, dict[str, object]]:
    """The model without memory for its weights, and the options that leave out a pooler, which no loss reaches."""
    try:
        with torch.device("meta"):
            model = AutoModel.from_config(config, trust_remote_code=False)
            options: dict[str, object] = {"add_pooling_layer": False}
            if not options.keys() & inspect.signature(type(model).__init__).parameters.keys():
                return model, {}
            return AutoModel.from_config(config, trust_remote_code=False, **options), options
    except Exception as error:  # whatever a model of another kind stumbles over
        reason = re.sub(r"\s+", " ", str(error))
        raise missing(f"transformers cannot build a plain model of it ({reason})") from error


def _output_width(body: Any, width: int, missing: Any) -> int | None:
    """How wide the last hidden states are; nothing is computed, so None where that needs numbers."""
    try:
        with torch.device("meta"):
            return body.eval()(inputs_embeds=torch.zeros(1, 2, width)).last_hidden_state.shape[2]
    except Exception as error:  # whatever a model of another kind stumbles over
        if "meta tensors" in str(error):
            return None
        reason = re.sub(r"\s+", " ", str(error))
        raise missing(f"it cannot read embedded sequences ({reason})") from error


def _groups(body: nn.Module, blocks: str) -> dict[str, str]:
    """Each group with the pattern that finds its parameters, which lists their names."""
    members: dict[str, list[str]] = {}
    for path, module in body.named_modules():
        for name, _ in module.named_parameters(path, recurse=False):
            members.setdefault(_group_of(module, name, f"{name}.".startswith(f"{blocks}.")), []).append(name)
    return {group: "|".join(f"{re.escape(name)}$" for name in names) for group, names in members.items()}


def _group_of(module: nn.Module, name: str, in_block: bool) -> str:
    if re.search("norm", type(module).__name__, re.IGNORECASE):
        return "norms"
    if re.search(r"relative|position|wpe", name) and (not in_block or isinstance(module, nn.Embedding)):
        return "positions"
    if not in_block:
        return "embeddings"
    return "attention" if re.search(r"attn|attention", name, re.IGNORECASE) else "feedforward"


def _longest(body: nn.Module, blocks: str) -> Any:
    """How many positions a table of them has; a limit in the config where there is none, as with rotary positions."""
    for path, module in body.named_modules():
        if isinstance(module, nn.Embedding) and not path.startswith(f"{blocks}.") and re.search("position|wpe", path):
            kept = getattr(module, "offset", 0) or (0 if module.padding_idx is None else module.padding_idx + 1)
            limit = module.num_embeddings - kept
            return lambda config: limit
    return "max_position_embeddings" if hasattr(body.config, "max_position_embeddings") else None


def _is_dropout(name: str, value: Any) -> bool:
    return (
        "drop" in name
        and not re.search("layer_?drop|classif|summary", name)
        and isinstance(value, float)
        and 0 <= value < 1
    )
