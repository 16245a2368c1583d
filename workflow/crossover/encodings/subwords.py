"""Text as the subwords of a Hugging Face tokenizer, with special tokens as its post-processor sets them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from crossover.encodings.encoder import Encoded, Items, Settings, column, id_type, require_type
from crossover.errors import UserError
from crossover.files import check_file, read_sealed_json

OFFSET = 1000  # of Kao & Lee's table: it keeps clear of the first ids, which are special or unused


@dataclass(frozen=True)
class SubwordEncoder:
    """A tokenizer, and a bijection of its ids.

    Attributes:
        tokenizer: as in tokenizer.json, with truncation set and without padding.
        mapping: the new id of each id, int64 [vocabulary].
        digest: SHA-256 of tokenizer.json.
    """

    tokenizer: Tokenizer
    mapping: np.ndarray
    digest: str

    @property
    def facts(self) -> Settings:
        """The vocabulary in the order of the ids that are stored, and which tokenizer it is."""
        tokens = [self.tokenizer.id_to_token(int(index)) or "" for index in np.argsort(self.mapping)]
        return {"kind": "subwords", "vocabulary": tokens, "width": None, "tokenizer": self.digest}

    def encode(self, table: pa.Table) -> Encoded:
        """Mapped ids of texts, or of pairs of texts."""
        texts = column(table, "sequence").to_pylist()
        if "second" in table.column_names:
            texts = list(zip(texts, column(table, "second").to_pylist(), strict=True))
        encodings = self.tokenizer.encode_batch_fast(texts)
        lengths = np.array([len(encoding) for encoding in encodings], dtype=np.int64)
        ids = np.concatenate([np.array(encoding.ids, dtype=np.int64) for encoding in encodings])
        truncated = sum(bool(encoding.overflowing) for encoding in encodings)
        unknown = _unknown_id(self.tokenizer)
        missing = 0 if unknown is None else int((ids == unknown).sum())
        return Encoded(self.mapping[ids].astype(id_type(len(self.mapping))), lengths, truncated, missing)

    def decode(self, values: np.ndarray) -> str:
        """The text of one item as the tokenizer writes it, without special tokens."""
        return self.tokenizer.decode(np.argsort(self.mapping)[values].tolist())


def make_encoder(settings: Settings, card: Settings, training: Items) -> SubwordEncoder:
    """The encoder with the tokenizer in `settings["tokenizer"]`: `file`, and `sha256` unless it is made here.

    Raises:
        UserError: the sequences are no text, the tokenizer cannot be read, or is too small for the map.
    """
    require_type(card, training, "subwords", "large_string")
    path, digest = _checked(settings["tokenizer"])
    if path.read_bytes().strip() == b"null":  # as fetched where the hub has none
        raise UserError(f"{path}: this checkpoint has no tokenizer.json; choose another encoding, or name a tokenizer.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for whatever it cannot read
        raise UserError(
            f"{path} is no tokenizer of the Hugging Face tokenizers library ({error}); make or fetch it again."
        ) from error
    tokenizer.no_padding()
    special = tokenizer.num_special_tokens_to_add("second" in training.schema.names)
    if settings["max_length"] <= special:
        raise UserError(
            f"encoding.max_length is {settings['max_length']}, but {path} adds {special} special tokens; use more than that."
        )
    tokenizer.enable_truncation(settings["max_length"])
    size = tokenizer.get_vocab_size()
    return SubwordEncoder(tokenizer, make_map(settings["map"], size), digest)


def _checked(tokenizer: Settings) -> tuple[Path, str]:
    path = Path(tokenizer["file"])
    if "sha256" in tokenizer:
        return check_file(path, tokenizer["sha256"], "this was planned with"), tokenizer["sha256"]
    made = path.with_name("checkpoint.json")
    digest = read_sealed_json(made)["sha256"][path.name]
    return check_file(path, digest, f"{made} describes"), digest


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    """The id of what the vocabulary lacks, or None where bytes stand for all."""
    model = json.loads(tokenizer.to_str())["model"]
    token = model.get("unk_token")
    return tokenizer.token_to_id(token) if token is not None else model.get("unk_id")


def make_map(settings: Settings | None, size: int) -> np.ndarray:
    """A bijection of the ids 0 to size - 1, special tokens included, as Kao & Lee (2021) in their code.

    - None: the ids stay;
    - `shift`: (id + by) mod size;
    - `permutation`: drawn with the seed;
    - `table`: the first size - 1000 ids become the ids from 1000 on in an order drawn with the seed, the last 1000 ids
      become 0 to 999. So no token that is in use becomes a special or an unused one.

    Returns:
        The new id of each id, int64 [size].

    Raises:
        UserError: the vocabulary is too small for the table.
    """
    ids = np.arange(size)
    if settings is None:
        return ids
    if settings["kind"] == "shift":
        return (ids + settings["by"]) % size
    rng = np.random.Generator(np.random.PCG64(settings["seed"]))
    if settings["kind"] == "permutation":
        return rng.permutation(size)
    if size <= OFFSET:
        raise UserError(
            f"encoding.map of kind table needs a vocabulary of more than {OFFSET} tokens, but this one has {size}; "
            "choose kind permutation."
        )
    return np.concatenate([OFFSET + rng.permutation(size - OFFSET), ids[:OFFSET]])
