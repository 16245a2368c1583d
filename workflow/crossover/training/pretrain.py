"""Pretrain a small causal language model, with a tokenizer of its own, and measure what it has learned."""

import logging
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils.logging import disable_progress_bar

from crossover.errors import UserError
from crossover.files import replacing, sha256, write_parquet, write_sealed_json
from crossover.models.sequence import derived_seed
from crossover.tasks.corpora import read_corpus
from crossover.training.loop import Settings, slices, train
from crossover.training.provenance import Recorder
from crossover.training.state import StateStore

log = logging.getLogger(__name__)
END = "<|endoftext|>"  # stands before every document, as in GPT-2
WARM_UP = 0.05  # share of the steps
FILES = ("config.json", "model.safetensors", "tokenizer.json", "curve.parquet")


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


def pretrain_checkpoint(
    spec: dict[str, Any], corpus: Path, out: Path, device: torch.device, save_every: float, command: str
) -> None:
    """Train tokenizer and model, and write what was made, what was learned, and at what cost.

    The files are config.json, model.safetensors, tokenizer.json, curve.parquet, pretraining.json (the same bytes whenever
    the same checkpoint is made) and provenance.json.

    Args:
        spec: the content of results/specs/<checkpoint>.json.
        corpus: dataset.json of a text dataset, or card.json of a task.
        out: results/checkpoints/<checkpoint>/.
        device: where to compute.
        save_every: seconds between saves of the training state.
        command: what was called, for the provenance.

    Raises:
        UserError: the corpus is damaged, or too small for the context.
    """
    training = spec["training"]
    recorder = Recorder(device, spec["code"], command)
    kept, held_out = split_documents(read_corpus(corpus), training["held_out"], training["seed"])
    tokenizer = train_tokenizer(kept, spec["vocabulary"])
    tokens = Tokens(
        encode(tokenizer, kept), encode(tokenizer, held_out), sum(map(len, kept + held_out)), sum(map(len, held_out))
    )
    if min(len(tokens.training), len(tokens.held_out)) <= training["context"]:
        raise UserError(
            f"{corpus}: the corpus is shorter than one context of {training['context']} tokens; use more text or a shorter context."
        )

    torch.manual_seed(derived_seed(training["seed"], "body"))
    model = GPT2LMHeadModel(_config(spec, tokenizer)).to(device)
    torch.manual_seed(derived_seed(training["seed"], "dropout"))
    windows = draw_windows(tokens.training, training["context"], training["batch_size"], training["seed"])

    def loss_of(step: int) -> Tensor:
        return _next_token_loss(model, torch.from_numpy(windows(step)).to(device))

    def validate() -> tuple[float, float]:
        loss = held_out_loss(model, tokens.held_out, training["context"], device)
        return -loss, loss

    settings = Settings(
        max_steps=training["steps"],
        evaluate_every=max(1, training["steps"] // 20),
        patience=None,
        best_possible=None,
        learning_rate=training["learning_rate"],
        weight_decay=training["weight_decay"],
        gradient_clip=1.0,
        warm_up=max(1, round(WARM_UP * training["steps"])),
    )
    store = StateStore(out / "state", save_every)
    progress = train(model, settings, loss_of, validate, store)

    save_model(model, out)
    with replacing(out / "tokenizer.json") as temporary:
        tokenizer.save(str(temporary))
    write_parquet(
        out / "curve.parquet",
        pd.DataFrame(progress.curve, columns=["step", "split", "loss", "score"])[["step", "split", "loss"]],
    )
    write_sealed_json(
        out / "pretraining.json",
        {
            "name": spec["name"],
            **_report(tokens, progress.best_loss, tokenizer.get_vocab_size()),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "steps": progress.step,
            "best_step": progress.best_step,
            "tokens_seen": progress.step * training["batch_size"] * training["context"],
            "sha256": {name: sha256(out / name) for name in FILES},
        },
    )
    write_sealed_json(out / "provenance.json", recorder.finish(progress.resumed, {"corpus": sha256(corpus)}))
    store.clear()


def save_model(model: GPT2LMHeadModel, out: Path) -> None:
    """Write config.json and model.safetensors, each in one step."""
    with tempfile.TemporaryDirectory(dir=out) as folder:
        disable_progress_bar()
        model.eval().cpu().save_pretrained(folder)
        for name in ("config.json", "model.safetensors"):
            with replacing(out / name) as temporary:
                shutil.copyfile(Path(folder) / name, temporary)


def _report(tokens: Tokens, loss: float, vocabulary: int) -> dict[str, Any]:
    """What was learned: the held-out loss of the model beside that of a unigram model."""
    unigram = unigram_loss(tokens.training, tokens.held_out, vocabulary)
    per_character = (len(tokens.held_out) - 1) / tokens.held_out_characters / math.log(2)
    return {
        "vocabulary": vocabulary,
        "corpus": {
            "characters": tokens.characters,
            "tokens": len(tokens.training) + len(tokens.held_out),
            "held_out_tokens": len(tokens.held_out),
        },
        "loss": {"model": loss, "unigram": unigram, "unit": "nats per held-out token"},
        "perplexity": {"model": math.exp(loss), "unigram": math.exp(unigram)},
        "bits_per_character": {"model": loss * per_character, "unigram": unigram * per_character},
    }


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


def train_tokenizer(texts: list[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE tokenizer as GPT-2's (Radford et al. 2019, section 2.2), trained on `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    """All texts as one row of token ids, int64 [tokens], each text after an end-of-text token."""
    end = tokenizer.token_to_id(END)
    return np.array([token for text in texts for token in [end, *tokenizer.encode(text).ids]], dtype=np.int64)


def _config(spec: dict[str, Any], tokenizer: Tokenizer) -> GPT2Config:
    end = tokenizer.token_to_id(END)
    return GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_positions=spec["positions"],
        n_embd=spec["width"],
        n_layer=spec["blocks"],
        n_head=spec["heads"],
        activation_function="gelu_pytorch_tanh",  # GPT-2's function in one kernel instead of eight
        resid_pdrop=spec["dropout"],
        embd_pdrop=spec["dropout"],
        attn_pdrop=spec["dropout"],
        bos_token_id=end,
        eos_token_id=end,
    )


def draw_windows(tokens: np.ndarray, context: int, batch_size: int, seed: int) -> Callable[[int], np.ndarray]:
    """Random windows of a step, int64 [batch, context + 1]; they follow from the seed and the step alone."""

    def windows(step: int) -> np.ndarray:
        starts = np.random.default_rng([seed, step]).integers(0, len(tokens) - context, size=batch_size)
        return tokens[starts[:, None] + np.arange(context + 1)]

    return windows


def _next_token_loss(model: GPT2LMHeadModel, windows: Tensor) -> Tensor:
    """Mean loss of predicting each token of windows [batch, context + 1] from those before it."""
    logits = model(input_ids=windows[:, :-1]).logits
    return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def held_out_loss(model: GPT2LMHeadModel, tokens: np.ndarray, context: int, device: torch.device) -> float:
    """Mean loss in nats over every held-out token but the first, in windows that follow one another."""
    total = 0.0
    for window in _consecutive(tokens, context):
        total += _next_token_loss(model, torch.from_numpy(window).to(device)).item() * window[:, 1:].size
    return total / (len(tokens) - 1)


def _consecutive(tokens: np.ndarray, context: int) -> Iterator[np.ndarray]:
    """Windows [up to 32, context + 1] that overlap by one token, and a shorter last one: each token is predicted once."""
    whole = (len(tokens) - 1) // context
    windows = tokens[: whole * context + 1]
    starts = np.arange(whole) * context
    for part in slices(whole, 32):
        yield windows[starts[part, None] + np.arange(context + 1)]
    if whole * context < len(tokens) - 1:
        yield tokens[None, whole * context :]


def unigram_loss(training: np.ndarray, held_out: np.ndarray, vocabulary: int) -> float:
    """Mean loss in nats of the tokens' frequencies in training (with one added to each) on the held-out tokens but the first."""
    counts = np.bincount(training, minlength=vocabulary) + 1
    return float(-np.log(counts / counts.sum())[held_out[1:]].mean())
