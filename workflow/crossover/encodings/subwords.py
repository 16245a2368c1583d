"""Text as ids of the subwords of a Hugging Face tokenizer, with the special tokens that its post-processor adds."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from crossover.acquire.recorded import recorded_digests
from crossover.config.encodings import SubwordsEncoding
from crossover.encodings.encoder import Encoded, ItemBatches, column, id_type, require_type
from crossover.encodings.tokenizer import read_tokenizer, separator_id, unknown_id
from crossover.errors import UserError
from crossover.files import check_file
from crossover.specs.descriptions import Card, EncoderFacts
from crossover.specs.tasks import TokenizerFile


@dataclass(frozen=True)
class SubwordEncoder:
    """Subwords of a tokenizer.

    Attributes:
        tokenizer: from tokenizer.json, with truncation and without padding.
        digest: SHA-256 of tokenizer.json.
    """

    tokenizer: Tokenizer
    digest: str

    @property
    def facts(self) -> EncoderFacts:
        """Return the vocabulary in the order of the ids, the tokenizer's digest, and the id that separates pairs."""
        size = self.tokenizer.get_vocab_size()
        tokens = tuple(self.tokenizer.id_to_token(index) or "" for index in range(size))
        separator = separator_id(self.tokenizer)
        return EncoderFacts(kind="subwords", vocabulary=tokens, tokenizer=self.digest, separator=separator)

    @cached_property
    def unknown(self) -> int | None:
        """Return the id of unknown tokens, or None if there are none; asked once, since the tokenizer is written out for it."""
        return unknown_id(self.tokenizer)

    def encode(self, table: pa.Table) -> Encoded:
        """Return ids of texts, or of pairs of texts."""
        texts = column(table, "sequence").to_pylist()
        if "second" in table.column_names:
            texts = list(zip(texts, column(table, "second").to_pylist(), strict=True))
        encodings = self.tokenizer.encode_batch_fast(texts)
        lengths = np.array([len(encoding) for encoding in encodings], dtype=np.int64)
        ids = np.concatenate([np.array(encoding.ids, dtype=np.int64) for encoding in encodings])
        truncated = sum(bool(encoding.overflowing) for encoding in encodings)
        missing = 0 if self.unknown is None else int((ids == self.unknown).sum())
        return Encoded(ids.astype(id_type(self.tokenizer.get_vocab_size())), lengths, truncated, missing)

    def decode(self, values: np.ndarray) -> str:
        """Return the text of one item as the tokenizer writes it, without special tokens."""
        text: str = self.tokenizer.decode(values.tolist())
        return text


def make_encoder(
    encoding: SubwordsEncoding, card: Card, training: ItemBatches, tokenizer: TokenizerFile
) -> SubwordEncoder:
    """Return the encoder with a tokenizer.

    Raises:
        UserError: the sequences are not text, or the tokenizer cannot be read.
    """
    require_type(card, training, "subwords", "large_string")
    path, digest = _verify(tokenizer)
    loaded = read_tokenizer(path)
    special = loaded.num_special_tokens_to_add("second" in training.schema.names)
    if encoding.max_length <= special:
        raise UserError(
            f"encoding.max_length is {encoding.max_length}, but {path} adds {special} special tokens; use a larger max_length."
        )
    loaded.enable_truncation(encoding.max_length)
    return SubwordEncoder(loaded, digest)


def _verify(tokenizer: TokenizerFile) -> tuple[Path, str]:
    """Return the path of a tokenizer and its digest, which was recorded when it was planned, made or fetched."""
    path = Path(tokenizer.file)
    if tokenizer.sha256 is not None:
        return check_file(path, tokenizer.sha256, "this was planned with"), tokenizer.sha256
    record, digests = recorded_digests(path.parent)
    if path.name not in digests:
        raise UserError(f"{record} does not list {path}; choose another encoding, or set encoding.tokenizer.")
    return check_file(path, digests[path.name], f"{record} describes", record.parent), digests[path.name]
