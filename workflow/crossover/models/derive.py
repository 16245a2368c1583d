"""Derive adapters of architectures that no file describes from the modules of their Hugging Face models."""

import inspect
import re
from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from crossover.errors import UserError
from crossover.models.adapter import Adapter
from crossover.models.discovery import ADAPTERS

INPUT_WIDTHS = ("embedding_size", "word_embed_proj_dim", "embed_dim")  # config keys of embeddings narrower than blocks

_derived: dict[str, Adapter] = {}  # by config


def adapter_for(config: PretrainedConfig) -> Adapter:
    """Return the adapter of a checkpoint's architecture: the described one, or else a derived one.

    Raises:
        UserError: no file describes the architecture, and an adapter cannot be derived.
    """
    described = ADAPTERS.get(config.model_type)
    if described:
        return described
    key = config.to_json_string(use_diff=False)
    if key not in _derived:
        _derived[key] = derive_adapter(config)
    return _derived[key]


def derive_adapter(config: PretrainedConfig) -> Adapter:
    """Find the blocks and groups of a model by the types and names of its modules, without memory for its weights.

    Norms are recognised by their class, attention by its name within a block; the rest of a block is feed-forward layers.
    Outside the blocks, positions are recognised by their name; the rest is embeddings.

    Raises:
        UserError: something cannot be found; the error says what.
    """
    refusal = partial(_refusal, config)
    model, load_options = _build(config, refusal)
    body_of = methodcaller("get_encoder") if config.is_encoder_decoder else Adapter.body_of
    body = body_of(model)
    arguments = inspect.signature(body.forward).parameters
    for name in ("inputs_embeds", "attention_mask"):
        if name not in arguments:
            raise refusal(f"it does not take {name}")
    paths = {module: path for path, module in body.named_modules()}
    try:
        table = body.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        table = None
    if not isinstance(table, nn.Embedding) or table not in paths:
        raise refusal("its token embeddings are no table of its own")
    blocks = _find_blocks(body, getattr(config, "num_hidden_layers", None), refusal)
    width = getattr(config, "hidden_size", None)
    input_widths = [name for name in INPUT_WIDTHS if getattr(config, name, None) == table.embedding_dim]
    if table.embedding_dim != width and not input_widths:
        raise refusal(
            f"its token embeddings are {table.embedding_dim} wide, and crossover knows no setting that says so"
        )
    if _output_width(body, table.embedding_dim, refusal) not in (width, None):
        raise refusal("its last hidden states are not as wide as its blocks")
    return Adapter(
        model_type=config.model_type,
        groups=_groups(body, blocks),
        blocks=blocks,
        token_table=paths[table],
        dropouts=tuple(name for name, value in vars(config).items() if _is_dropout(name, value)),
        positions=_positions(body, blocks),
        input_width=input_widths[0] if table.embedding_dim != width else None,
        segments="type_vocab_size" if hasattr(config, "type_vocab_size") and "token_type_ids" in arguments else None,
        load_options=load_options,
        body_of=body_of,
    )


Refusal = Callable[[str], UserError]


def _refusal(config: PretrainedConfig, reason: str) -> UserError:
    return UserError(
        f"crossover has no adapter for the architecture {config.model_type!r} and cannot derive one, since {reason}; choose a "
        f"checkpoint of another architecture ({', '.join(sorted(ADAPTERS))}), or describe this one in a file of its own in "
        "workflow/crossover/models/architectures/."
    )


def check_forward_contract(body: PreTrainedModel, adapter: Adapter) -> None:
    """Raise unless a body is padding-invariant and embeds token ids through its table alone.

    Described architectures are tested; of others, types and names of modules do not tell whether padding changes the states
    before it, as it does where neighbours are mixed outside of the attention, nor what happens to embeddings.

    Raises:
        UserError: the body violates the contract; the error says how.
    """
    if adapter is ADAPTERS.get(adapter.model_type):
        return
    refusal = partial(_refusal, body.config)
    special = {value for name, value in vars(body.config).items() if name.endswith("_token_id")}
    table = body.get_input_embeddings()
    ids = torch.tensor([[token for token in range(table.num_embeddings) if token not in special][-9:]])
    training = body.training

    def states(real: int, **inputs: Tensor) -> Tensor:
        """Return the states of the real positions; those after them are masked as padding."""
        [values] = inputs.values()
        mask = (torch.arange(values.shape[1]) < real).long()[None]
        last: Tensor = body(attention_mask=mask, **inputs).last_hidden_state
        return last[:, :real]

    try:
        body.eval()
        with torch.no_grad():
            embedded = table(ids)
            by_ids, whole = states(9, input_ids=ids), states(9, inputs_embeds=embedded)
            short, padded = states(5, inputs_embeds=embedded[:, :5]), states(5, inputs_embeds=embedded)
    except Exception as error:  # whatever the code of an unknown model raises
        raise refusal(f"it cannot read embedded sequences ({one_line(error)})") from error
    finally:
        body.train(training)
    if not _equal(whole, by_ids):
        raise refusal("it changes the embeddings of tokens on their way in")
    if not _equal(padded, short):
        raise refusal("padding changes what it makes of a sequence")


def _equal(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=0, atol=1e-3 * float(other.abs().max()))


def one_line(error: Exception) -> str:
    """Return the message of an error in one line."""
    return re.sub(r"\s+", " ", str(error))


def _build(config: PretrainedConfig, refusal: Refusal) -> tuple[Any, dict[str, object]]:
    """Build the model without memory for its weights; return it, and the options that leave out a pooler."""
    try:
        with torch.device("meta"):
            model = AutoModel.from_config(config, trust_remote_code=False)
            options: dict[str, object] = {"add_pooling_layer": False}
            if not options.keys() & inspect.signature(type(model).__init__).parameters.keys():
                return model, {}
            return AutoModel.from_config(config, trust_remote_code=False, **options), options
    except Exception as error:  # whatever the code of an unknown model raises
        raise refusal(f"transformers cannot build a plain model of it ({one_line(error)})") from error


def _find_blocks(body: nn.Module, depth: int | None, refusal: Refusal) -> str:
    """Return the path of the one list of modules that is as long as the config says the model is deep."""
    lists = [
        path for path, module in body.named_modules() if isinstance(module, nn.ModuleList) and len(module) == depth
    ]
    if not lists:
        raise refusal(f"it has no list of {depth} blocks, as many as its config says")
    blocks: str = min(lists, key=lambda path: path.count("."))
    if sum(path.rpartition(".")[0] == blocks.rpartition(".")[0] for path in lists) > 1:
        raise refusal(f"its blocks are spread over several lists ({', '.join(lists[:3])})")
    return blocks


def _output_width(body: Any, width: int, refusal: Refusal) -> int | None:
    """Return how wide the last hidden states are, from shapes alone; None where the model needs numbers to tell."""
    try:
        with torch.device("meta"):
            states: Tensor = body.eval()(inputs_embeds=torch.zeros(1, 2, width)).last_hidden_state
            return states.shape[2]
    except Exception as error:  # whatever the code of an unknown model raises
        if "meta tensors" in str(error):
            return None
        raise refusal(f"it cannot read embedded sequences ({one_line(error)})") from error


def _groups(body: nn.Module, blocks: str) -> dict[str, str]:
    """Return each group with the pattern that matches its parameters: a list of their names."""
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


def _positions(body: nn.Module, blocks: str) -> str | Callable[[Any], int | None] | None:
    """Return the adapter's `positions`: the size of the position embeddings, or where there are none a config key."""
    for path, module in body.named_modules():
        if isinstance(module, nn.Embedding) and not path.startswith(f"{blocks}.") and re.search("position|wpe", path):
            reserved = getattr(module, "offset", 0) or (0 if module.padding_idx is None else module.padding_idx + 1)
            limit = module.num_embeddings - reserved
            return lambda config: limit
    return "max_position_embeddings" if hasattr(body.config, "max_position_embeddings") else None


def _is_dropout(name: str, value: Any) -> bool:
    return (
        "drop" in name
        and not re.search("layer_?drop|classif|summary", name)
        and isinstance(value, float)
        and 0 <= value < 1
    )
