"""Input layers: a new one, or token embeddings of the checkpoint's size."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from crossover.alphabets import ALPHABETS, SPECIAL, UNKNOWN
from crossover.config.inputs import Input, PermutationInput, ShiftInput, TableInput
from crossover.encodings.tokenizer import read_tokenizer, unknown_id
from crossover.encodings.tokens import Tokens
from crossover.errors import UserError
from crossover.files import sha256
from crossover.specs.descriptions import EncoderFacts

# Gain of the orthogonal initialisation of linear input layers in Lu et al.'s code (fpt.py, `orth_gain`).
ORTHOGONAL_GAIN = 1.41
MEASURED_ITEMS = 256  # of the training split, that the scale of a new input is measured on
OFFSET = 1000  # of the tokens of Kao & Lee's table: the first ones are special or unused


class TokenTable(nn.Module):
    """Token embeddings of a checkpoint's size, looked up by the symbols of a task.

    Attributes:
        table: embeddings [tokens, width].
        rows: the token id of each symbol, int64 [symbols].
    """

    rows: Tensor

    def __init__(self, table: nn.Embedding, rows: np.ndarray) -> None:
        super().__init__()
        table.padding_idx = None  # its row may be a symbol's, and must get a gradient; padding is masked anyway
        self.table = table
        self.register_buffer("rows", torch.from_numpy(rows), persistent=False)

    def forward(self, symbols: Tensor) -> Tensor:
        """Embed symbols, int64 [batch, longest], as float32 [batch, longest, width]."""
        embedded: Tensor = self.table(self.rows[symbols])
        return embedded


def new_input(encoding: EncoderFacts, width: int, padding: bool = False) -> nn.Embedding | nn.Linear:
    """Return a new input layer at the scale of Lu et al.'s code: for symbols embeddings N(0, 1), for patches a linear layer.

    The linear layer is orthogonal with their gain, and has a bias of 0.

    Args:
        encoding: of the task's tokens.
        width: of the embeddings.
        padding: whether padding is read, and so has an embedding behind those of the symbols.
    """
    if encoding.vocabulary is not None:
        return nn.Embedding(len(encoding.vocabulary) + padding, width)
    assert encoding.width is not None
    layer = nn.Linear(encoding.width, width)
    nn.init.orthogonal_(layer.weight, gain=ORTHOGONAL_GAIN)
    nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def scale_input(layer: nn.Embedding | nn.Linear, items: Tokens, scale: float) -> None:
    """Scale the weights of a new input layer without bias, so that what it gives on items has a root mean square.

    A body is built for embeddings of one scale: larger ones drown the positions that are added to them, and smaller ones
    drown in them.

    Args:
        layer: changed in place.
        items: a split; some of its items, evenly spread, are measured.
        scale: the root mean square over items, positions and dimensions.
    """
    given = _root_mean_square(layer, items)
    if given:  # else every item is zeros
        layer.weight.mul_(scale / given)


def _root_mean_square(layer: nn.Module, items: Tokens) -> float:
    """Return the root mean square of what an input layer gives at the real positions of some items."""
    chosen = np.unique(np.linspace(0, len(items) - 1, MEASURED_ITEMS).round().astype(np.int64))
    total, count = 0.0, 0
    for index in chosen:
        values, real, _ = items.gather(np.array([index]))
        values = values[:, real[0]]
        given = layer(torch.from_numpy(values if values.dtype.kind == "f" else values.astype(np.int64))).double()
        total, count = total + given.square().sum().item(), count + given.numel()
    return math.sqrt(total / count)


@torch.no_grad()
def scale_of(table: nn.Module) -> float:
    """Return the root mean square of token embeddings, or of the patch embeddings for white noise of variance 1.

    Args:
        table: token embeddings, whose rows of zeros (of a token of padding) do not count; or a linear layer of patches, or a module
            that has one as its projection.
    """
    if isinstance(table, nn.Embedding):
        rows = table.weight[table.weight.any(dim=1)].double()
        return math.sqrt(rows.square().mean().item())
    projection = table if isinstance(table, nn.Linear) else table.get_submodule("projection")
    weight, bias = projection.get_parameter("weight").double(), projection.get_parameter("bias").double()
    return math.sqrt((weight.flatten(1).square().sum(1) + bias.square()).mean().item())


def symbol_to_token_ids(settings: Input, encoding: EncoderFacts, tokens: int, tokenizer: Path) -> np.ndarray:
    """Return the token id of the checkpoint that each symbol of a task is treated as, all different.

    - `pretrained`: a subword is the token that it is; any other symbol is the token that is spelled like it;
    - `re-embedded`: symbol i is token i, since no embedding means anything yet;
    - a map: symbol i is treated as token i, then mapped.

    Args:
        settings: the condition's input.
        encoding: of the task's tokens.
        tokens: number of tokens of the checkpoint.
        tokenizer: the checkpoint's tokenizer.json.

    Returns:
        int64 [symbols].

    Raises:
        UserError: the task has no symbols or too many, or they have no tokens in the checkpoint.
    """
    symbols, subwords = encoding.vocabulary, encoding.tokenizer
    if symbols is None:
        raise UserError("patches have no tokens, which the input of the condition asks for; choose input new.")
    if settings != "re-embedded" and subwords and subwords != _digest(tokenizer):
        raise UserError(
            f"the task's subwords are not those of {tokenizer}, whose embeddings the input of the condition asks for; set "
            "encoding.tokenizer to checkpoint, or choose input new."
        )
    if len(symbols) > tokens:
        raise UserError(
            f"the task has {len(symbols)} symbols, but the checkpoint of {tokenizer.parent} only {tokens} tokens; choose input new."
        )
    if settings == "pretrained" and not subwords:
        return _spelled(symbols, tokenizer, encoding.special_tokens)
    return token_map(settings, tokens)[: len(symbols)]


def token_map(settings: Input, size: int) -> np.ndarray:
    """Return a bijection of the token ids 0 to size - 1, special ones included, as in the code of Kao & Lee (2021).

    - `shift`: (id + by) mod size;
    - `permutation`: drawn with the seed;
    - `table`: the first size - 1000 tokens become those from 1000 on in an order drawn with the seed, the last 1000
      become 0 to 999. So no token that is in use becomes a special or an unused one;
    - any other: the identity.

    Returns:
        The new id of each token, int64 [size].

    Raises:
        UserError: the vocabulary is too small for the table.
    """
    tokens: np.ndarray = np.arange(size)
    match settings:
        case ShiftInput(by=by):
            return np.roll(tokens, -by)
        case PermutationInput(seed=int(seed)):
            return _generator(seed).permutation(size)
        case TableInput(seed=int(seed)):
            if size <= OFFSET:
                raise UserError(
                    f"an input of kind table needs a checkpoint of more than {OFFSET} tokens, but this one has {size}; "
                    "choose kind permutation."
                )
            return np.concatenate([OFFSET + _generator(seed).permutation(size - OFFSET), tokens[:OFFSET]])
    return tokens


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _digest(tokenizer: Path) -> str | None:
    return sha256(tokenizer) if tokenizer.is_file() else None


def _spelled(symbols: Sequence[str], path: Path, special_tokens: bool) -> np.ndarray:
    """Return the ids of the tokens that are spelled like the symbols, int64 [symbols].

    Args:
        symbols: of a task.
        path: of the checkpoint's tokenizer.
        special_tokens: whether the last two symbols are what the tokenizer puts around each text.

    Raises:
        UserError: there is no tokenizer, a symbol has no token of its own, or the tokenizer does not put texts between two
            special tokens.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is missing, which tells the token of a symbol; choose an input of kind permutation, or input new."
        )
    tokenizer = read_tokenizer(path)
    unknown = unknown_id(tokenizer)
    special = {index for index, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    around = tokenizer.encode("").ids if special_tokens else []
    if special_tokens and len(around) != len(SPECIAL):
        raise UserError(
            f"{path} does not put texts between two special tokens, as special_tokens of the task's encoding asks for; set it to "
            "false, or choose input new."
        )
    own = list(symbols[: len(symbols) - len(around)])
    others = [letters[-1] for letters in ALPHABETS.values() if list(letters) == own]
    owners: dict[int, str] = {}
    for symbol in own:
        exact = tokenizer.token_to_id(symbol)
        found = [exact] if exact is not None else tokenizer.encode(symbol, add_special_tokens=False).ids
        if unknown is not None and (symbol == UNKNOWN or (symbol in others and found == [unknown])):
            found = [unknown]  # also for the X of proteins, if the model knows the 20 amino acids alone
        elif len(found) != 1 or found[0] == unknown or found[0] in special:
            raise UserError(
                f"{path} has no token for the symbol {symbol!r} of the task; encode it as subwords, or choose an input of "
                "kind permutation."
            )
        if found[0] in owners:
            raise UserError(
                f"{path} has one token for the symbols {owners[found[0]]!r} and {symbol!r} of the task; choose an input of "
                "kind permutation."
            )
        owners[found[0]] = symbol
    return np.array([*owners, *around])
