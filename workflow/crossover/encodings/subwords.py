"""Text as the subwords of a Hugging Face tokenizer, with special tokens as its post-processor sets them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from crossover.acquire.receipt import recorded_digests
from crossover.encodings.encoder import Encoded, Items, Settings, column, id_type, require_type
from crossover.encodings.tokenizer import read_tokenizer, separator_id, unknown_id
from crossover.errors import UserError
from crossover.files import check_file


@dataclass(frozen=True)
class SubwordEncoder:
    """A tokenizer.

    Attributes:
        tokenizer: as in tokenizer.json, with truncation set and without padding.
        digest: SHA-256 of tokenizer.json.
    """

    tokenizer: Tokenizer
    digest: str

    @property
    def facts(self) -> Settings:
        """The vocabulary in the order of the ids, which tokenizer it is, and what ends the first segment of a pair."""
        size = self.tokenizer.get_vocab_size()
        tokens = [self.tokenizer.id_to_token(index) or "" for index in range(size)]
        facts = {"kind": "subwords", "vocabulary": tokens, "width": None, "tokenizer": self.digest}
        return facts | {"separator": separator_id(self.tokenizer)}

    def encode(self, table: pa.Table) -> Encoded:
        """Ids of texts, or of pairs of texts."""
        texts = column(table, "sequence").to_pylist()
        if "second" in table.column_names:
            texts = list(zip(texts, column(table, "second").to_pylist(), strict=True))
        encodings = self.tokenizer.encode_batch_fast(texts)
        lengths = np.array([len(encoding) for encoding in encodings], dtype=np.int64)
        ids = np.concatenate([np.array(encoding.ids, dtype=np.int64) for encoding in encodings])
        truncated = sum(bool(encoding.overflowing) for encoding in encodings)
        unknown = unknown_id(self.tokenizer)
        missing = 0 if unknown is None else int((ids == unknown).sum())
        return Encoded(ids.astype(id_type(self.tokenizer.get_vocab_size())), lengths, truncated, missing)

    def decode(self, values: np.ndarray) -> str:
        """The text of one item as the tokenizer writes it, without special tokens."""
        return self.tokenizer.decode(values.tolist())


def make_encoder(settings: Settings, card: Settings, training: Items) -> SubwordEncoder:
    """The encoder with the tokenizer in `settings["tokenizer"]`: `file`, and `sha256` unless it is made here.

    Raises:
        UserError: the sequences are no text, or the tokenizer cannot be read.
    """
    require_type(card, training, "subwords", "large_string")
    path, digest = _checked(settings["tokenizer"])
    tokenizer = read_tokenizer(path)
    special = tokenizer.num_special_tokens_to_add("second" in training.schema.names)
    if settings["max_length"] <= special:
        raise UserError(
            f"encoding.max_length is {settings['max_length']}, but {path} adds {special} special tokens; use more than that."
        )
    tokenizer.enable_truncation(settings["max_length"])
    return SubwordEncoder(tokenizer, digest)


def _checked(tokenizer: Settings) -> tuple[Path, str]:
    path = Path(tokenizer["file"])
    if "sha256" in tokenizer:
        return check_file(path, tokenizer["sha256"], "this was planned with"), tokenizer["sha256"]
    record, digests = recorded_digests(path.parent, tokenizer.get("receipt"))
    if path.name not in digests:
        raise UserError(f"{record} lists no {path}; choose another encoding, or name a tokenizer.")
    return check_file(path, digests[path.name], f"{record} describes", record.parent), digests[path.name]
