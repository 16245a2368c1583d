"""Read a tokenizer.json of the Hugging Face tokenizers library, and find its special ids."""

import json
from pathlib import Path

from tokenizers import Tokenizer

from crossover.errors import UserError


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json, without its settings for padding and truncation.

    A text that contains a special token, such as "[SEP]", is encoded like any other text.

    Raises:
        UserError: the file is not a tokenizer.
    """
    if path.read_bytes().strip() == b"null":  # as fetched where the hub has none
        raise UserError(
            f"{path}: this checkpoint has no tokenizer.json; choose another encoding, or set encoding.tokenizer."
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise UserError(
            f"{path} is not a tokenizer of the Hugging Face tokenizers library ({error}); create or download it again."
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def unknown_id(tokenizer: Tokenizer) -> int | None:
    """Return the id of unknown tokens; None if the tokenizer falls back to bytes and knows all."""
    model = json.loads(tokenizer.to_str())["model"]
    token = model.get("unk_token")
    return tokenizer.token_to_id(token) if token is not None else model.get("unk_id")


def separator_id(tokenizer: Tokenizer) -> int | None:
    """Return the id that ends the first segment of a pair of texts; None if the tokenizer does not mark segments.

    BERT adds to each token an embedding of its segment (Devlin et al. 2019, section 3.2).
    """
    pair = tokenizer.encode("a", "a")
    last = pair.type_ids.index(1) - 1 if 1 in pair.type_ids else -1
    return pair.ids[last] if last > 0 and pair.special_tokens_mask[last] else None
