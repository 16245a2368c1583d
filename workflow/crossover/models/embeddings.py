"""How sequences enter a body: through a new layer, or through token embeddings of the checkpoint's size."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crossover.alphabets import UNKNOWN
from crossover.encodings.tokenizer import read_tokenizer, unknown_id
from crossover.errors import UserError
from crossover.files import sha256

Settings = str | dict[str, Any]

# Gain of the orthogonal initialisation of linear input layers in Lu et al.'s code (fpt.py, `orth_gain`).
ORTHOGONAL_GAIN = 1.41
OFFSET = 1000  # of Kao & Lee's table: it keeps clear of the first tokens, which are special or unused


class TokenTable(nn.Module):
    """The embeddings of a checkpoint's tokens, for the symbols of a task.

    Attributes:
        table: embeddings [tokens, width].
        rows: the token of each symbol, int64 [symbols].
    """

    rows: Tensor

    def __init__(self, table: nn.Embedding, rows: np.ndarray) -> None:
        super().__init__()
        table.padding_idx = None  # which would keep a symbol in its row from learning; padding is masked anyway
        self.table = table
        self.register_buffer("rows", torch.from_numpy(rows), persistent=False)

    def forward(self, symbols: Tensor) -> Tensor:
        """Embed symbols, int64 [batch, longest], as float32 [batch, longest, width]."""
        return self.table(self.rows[symbols])


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


def tokens_of_symbols(settings: Settings, encoding: dict[str, Any], tokens: int, tokenizer: Path) -> np.ndarray:
    """The token of the checkpoint that each symbol of a task becomes, all different.

    - `pretrained`: a subword is the token that it is; any other symbol becomes the token with its spelling;
    - `re-embedded`: symbols become tokens in their order, since no embedding means anything yet;
    - a map: symbols become tokens in their order, and these the ones that the map says.

    Args:
        settings: the condition's input.
        encoding: the encoding.json of the task's tokens.
        tokens: of the checkpoint.
        tokenizer: the checkpoint's tokenizer.json.

    Returns:
        int64 [symbols].

    Raises:
        UserError: the task has no symbols or too many, or they are not, or have no, tokens of the checkpoint.
    """
    symbols, subwords = encoding["vocabulary"], encoding.get("tokenizer")
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
        return _spelled(symbols, tokenizer)
    return token_map(settings, tokens)[: len(symbols)]


def token_map(settings: Settings, size: int) -> np.ndarray:
    """A bijection of the tokens 0 to size - 1, special ones included, as Kao & Lee (2021) in their code.

    - `shift`: (token + by) mod size;
    - `permutation`: drawn with the seed;
    - `table`: the first size - 1000 tokens become those from 1000 on in an order drawn with the seed, the last 1000
      become 0 to 999. So no token that is in use becomes a special or an unused one;
    - any other: tokens stay.

    Returns:
        The new token of each token, int64 [size].

    Raises:
        UserError: the vocabulary is too small for the table.
    """
    tokens = np.arange(size)
    if isinstance(settings, str):
        return tokens
    if settings["kind"] == "shift":
        return (tokens + settings["by"]) % size
    rng = np.random.Generator(np.random.PCG64(settings["seed"]))
    if settings["kind"] == "permutation":
        return rng.permutation(size)
    if size <= OFFSET:
        raise UserError(
            f"an input of kind table needs a checkpoint of more than {OFFSET} tokens, but this one has {size}; "
            "choose kind permutation."
        )
    return np.concatenate([OFFSET + rng.permutation(size - OFFSET), tokens[:OFFSET]])


def _digest(tokenizer: Path) -> str | None:
    return sha256(tokenizer) if tokenizer.is_file() else None


def _spelled(symbols: list[str], path: Path) -> np.ndarray:
    """The tokens that are spelled as the symbols, int64 [symbols].

    Raises:
        UserError: there is no tokenizer, or a symbol has no token of its own.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is missing, which tells the token of a symbol; choose an input of kind permutation, or input new."
        )
    tokenizer = read_tokenizer(path)
    unknown = unknown_id(tokenizer)
    special = {index for index, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    owners: dict[int, str] = {}
    for symbol in symbols:
        exact = tokenizer.token_to_id(symbol)
        found = [exact] if exact is not None else tokenizer.encode(symbol, add_special_tokens=False).ids
        if symbol == UNKNOWN and unknown is not None:
            found = [unknown]
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
    return np.array(list(owners))
