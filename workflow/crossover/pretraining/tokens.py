"""The tokens that a language model learns from, and those that it is tested on."""

from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"  # stands before every document, as in GPT-2
PAD = "<|pad|>"
MASK = "<|mask|>"
# In this order, from 0. Only masked models need more than the first; RoBERTa takes the id of PAD for padding.
SPECIAL = {"causal": [END], "masked": [END, PAD, MASK]}


@dataclass(frozen=True)
class Tokens:
    """Token ids of the two parts of a corpus, and how many characters they stand for.

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
) -> tuple[Tokenizer, Tokens]:
    """Hold documents out, train a tokenizer on the others, and encode both.

    Args:
        documents: texts.
        vocabulary: size of the tokenizer's vocabulary.
        special: tokens that stand for no text; they come first in the vocabulary.
        held_out: share of the characters to hold out.
        seed: of the choice of documents.
    """
    kept, out = split_documents(documents, held_out, seed)
    tokenizer = train_tokenizer(kept, vocabulary, special)
    characters = [sum(map(len, part)) for part in (kept, out)]
    return tokenizer, Tokens(encode(tokenizer, kept), encode(tokenizer, out), sum(characters), characters[1])


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
    """A byte-level BPE tokenizer as GPT-2's (Radford et al. 2019, section 2.2), trained on `texts`."""
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
    """All texts as one row of token ids, int64 [tokens], each text after an end-of-text token."""
    end = tokenizer.token_to_id(END)
    return np.array([token for text in texts for token in [end, *tokenizer.encode(text).ids]], dtype=np.int64)


def ngram_losses(training: np.ndarray, held_out: np.ndarray, vocabulary: int, order: int) -> np.ndarray:
    """What a model that counts sequences of `order` tokens says of each held-out token but the first.

    Counts of single tokens have one added to each. Those of longer sequences are smoothed with the shorter ones as Witten &
    Bell (1991, method C) do: a context that was followed by many different tokens leaves more to what follows in general.

    Args:
        training: token ids to count, int64 [tokens].
        held_out: token ids to predict, int64 [tokens].
        vocabulary: number of token ids; its power of `order` must be less than 2 ** 63.
        order: 1 for frequencies alone, 3 for a token after the two before it.

    Returns:
        Losses in nats, float64 [tokens - 1].
    """
    counts = np.bincount(training, minlength=vocabulary) + 1
    probability = (counts / counts.sum())[held_out]
    for length in range(2, min(order, len(training), len(held_out)) + 1):
        grams, numbers = np.unique(_sequences(training, length, vocabulary), return_counts=True)
        contexts, first, followers = np.unique(grams // vocabulary, return_index=True, return_counts=True)
        seen = np.add.reduceat(numbers, first)
        asked = _sequences(held_out, length, vocabulary)
        of_gram = _looked_up(grams, numbers, asked)
        of_context = _looked_up(contexts, seen, asked // vocabulary)
        spread = _looked_up(contexts, followers, asked // vocabulary)
        shorter = probability[length - 1 :]
        probability[length - 1 :] = np.where(
            of_context > 0, (of_gram + spread * shorter) / np.maximum(1, of_context + spread), shorter
        )
    return -np.log(probability[1:])


def _sequences(tokens: np.ndarray, length: int, vocabulary: int) -> np.ndarray:
    """Each run of `length` tokens as one number, the last token as its last digit."""
    windows = np.lib.stride_tricks.sliding_window_view(tokens, length)
    return windows @ vocabulary ** np.arange(length - 1, -1, -1)


def _looked_up(keys: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The value of each key that is asked for, 0 where there is none; `keys` are sorted."""
    places = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[places] == asked, values[places], 0)
