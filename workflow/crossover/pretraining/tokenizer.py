"""The tokenizer of a corpus, and the corpus as tokens: those that a language model learns from, and held-out ones."""

from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"  # stands before every document, as in GPT-2
PAD = "<|pad|>"
MASK = "<|mask|>"
# In this order, from 0. Only masked models need more than the first; RoBERTa takes the id of PAD for padding.
SPECIAL = {"causal": [END], "masked": [END, PAD, MASK]}


@dataclass(frozen=True)
class CorpusTokens:
    """Token ids of the training part and the held-out part of a corpus, and how many characters they encode.

    Attributes:
        training: int64 [tokens].
        held_out: int64 [tokens].
        characters: of both parts.
        held_out_characters: of the held-out part.
    """

    training: np.ndarray
    held_out: np.ndarray
    characters: int
    held_out_characters: int


def tokenize(
    documents: list[str], vocabulary: int, special: list[str], held_out: float, seed: int
) -> tuple[Tokenizer, CorpusTokens]:
    """Hold documents out, train a tokenizer on the others, and encode both.

    Args:
        documents: texts.
        vocabulary: size of the tokenizer's vocabulary.
        special: special tokens; they come first in the vocabulary.
        held_out: share of the characters to hold out.
        seed: of the choice of documents.
    """
    kept, out = split_documents(documents, held_out, seed)
    tokenizer = train_tokenizer(kept, vocabulary, special)
    characters = [sum(map(len, part)) for part in (kept, out)]
    return tokenizer, CorpusTokens(encode(tokenizer, kept), encode(tokenizer, out), sum(characters), characters[1])


def split_documents(documents: list[str], held_out: float, seed: int) -> tuple[list[str], list[str]]:
    """Divide whole documents, so that no sentence of a held-out one was read.

    Args:
        documents: texts.
        held_out: share of the characters to hold out, reached with the first document that passes it.
        seed: of the order in which documents are drawn.

    Returns:
        The texts for training and the held-out ones, each in the order given.
    """
    order = np.random.default_rng(seed).permutation(len(documents))
    characters = np.cumsum([len(documents[index]) for index in order])
    count = 1 + int(np.searchsorted(characters, held_out * characters[-1]))
    chosen = set(order[:count].tolist())
    kept = [text for index, text in enumerate(documents) if index not in chosen]
    return kept, [documents[index] for index in sorted(chosen)]


def train_tokenizer(texts: list[str], vocabulary: int, special: list[str]) -> Tokenizer:
    """Train a byte-level BPE tokenizer as GPT-2's (Radford et al. 2019, section 2.2) on texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    """Return all texts as one row of token ids, int64 [tokens], each text after an end-of-text token."""
    end = tokenizer.token_to_id(END)
    return np.array([token for text in texts for token in [end, *tokenizer.encode(text).ids]], dtype=np.int64)
