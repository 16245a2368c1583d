"""Learn from the tokens of a task, as fine-tuning reads them (self-pretraining, Amos et al. 2024)."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from crossover.alphabets import SPECIAL as AROUND
from crossover.encodings.tokens import Tokens
from crossover.models.discovery import ADAPTERS
from crossover.pretraining.items import EVALUATION_ITEMS, TaskItems
from crossover.pretraining.language_model import LanguageModel, losses_beside_counting
from crossover.pretraining.objectives import IGNORE_INDEX, Masking, held_out_loss, mean_loss
from crossover.pretraining.tokenizer import END, MASK, PAD, SPECIAL
from crossover.pretraining.vocabulary import make_tokenizer
from crossover.specs.checkpoints import PretrainedSpec
from crossover.specs.descriptions import CorpusSize, PretrainingReport
from crossover.training.loop import slices

Batch = tuple[np.ndarray, ...]  # inputs, labels and, for a masked model, what is real


class SymbolLearner:
    """A language model that reads whole items of a task, with a token for each symbol of the task's encoding.

    A causal one predicts each symbol of an item but the first from those before it, a masked one 15 % of its symbols. Special
    tokens around an item are read, and predicted by a causal model alone. Items of a batch are padded to the longest one.
    """

    def __init__(self, spec: PretrainedSpec, corpus: Path, device: torch.device) -> None:
        """Open the training and the validation split, and draw the model.

        Args:
            spec: of the checkpoint.
            corpus: encoding.json of the task's tokens.
            device: where to compute.

        Raises:
            UserError: a file is damaged, or the items are too long for the model or too short to predict anything.
        """
        self.spec, self.device = spec, device
        self.causal = ADAPTERS[spec.architecture].objective == "causal"
        self.special = SPECIAL["causal" if self.causal else "masked"]
        self.items = TaskItems.open(spec, corpus)
        tokenizer = make_tokenizer(self.items.encoding, self.special)
        self.size = tokenizer.get_vocab_size()
        around = len(AROUND) if self.items.encoding.special_tokens else 0
        self.end = self.size - around
        self.items.require_longer_than(1 if self.causal else around)
        self.language_model = LanguageModel(spec, tokenizer, device)

    @property
    def model(self) -> nn.Module:
        """Return what is trained."""
        return self.language_model.trained

    def loss(self, step: int) -> Tensor:
        """Return the mean loss of the items of a step."""
        rng = np.random.default_rng([self.spec.training.seed, step])
        inputs, labels, *real = self._batch(self.items.training, self.items.order(step), rng, True)
        return mean_loss(self.model, inputs, labels, self.device, *real)

    def held_out_loss(self) -> float:
        """Return the mean loss of the predicted tokens of the validation split."""
        return held_out_loss(self.model, self._evaluation(), self.device)

    def _evaluation(self) -> Iterator[Batch]:
        """Yield the batches of an evaluation, always the same."""
        rng, tokens = np.random.default_rng([self.spec.training.seed, 1]), self.items.validation
        for part in slices(len(tokens), EVALUATION_ITEMS):
            yield self._batch(tokens, np.arange(len(tokens))[part], rng, False)

    def _batch(self, tokens: Tokens, indices: np.ndarray, rng: np.random.Generator, training: bool) -> Batch:
        """Return what is read and predicted of some items, all [items, longest]."""
        values, real, _ = tokens.gather(indices)
        padding = 0 if self.causal else self.special.index(PAD)
        ids = np.where(real, values.astype(np.int64) + len(self.special), padding)
        if self.causal:  # padding on the right changes nothing on its left
            labels = np.full_like(ids, IGNORE_INDEX)
            labels[:, :-1] = np.where(real, ids, IGNORE_INDEX)[:, 1:]
            return ids, labels
        masking = Masking(self.special.index(MASK), len(self.special), self.end)
        return *masking.hide(ids, real & (ids < self.end), rng, training), real

    def save(self, out: Path) -> None:
        """Write the model and its tokenizer."""
        self.language_model.save(out)

    def report(self, loss: float, steps: int) -> PretrainingReport:
        """Return what was learned, beside what counting symbols reaches in items of which each follows an end of text."""
        training, held_out = (self._one_row(tokens) for tokens in (self.items.training, self.items.validation))
        predicted = self._predicted(held_out)
        losses = losses_beside_counting(loss, training, held_out, predicted[1:], self.size)
        return PretrainingReport(
            vocabulary=self.size,
            corpus=CorpusSize(
                characters=None,
                tokens=self.items.positions,
                held_out_tokens=int(self.items.validation.lengths.sum()),
                predicted_tokens=int(predicted.sum()),
            ),
            loss=losses,
            perplexity={name: math.exp(value) for name, value in losses.items()},
            bits_per_character=None,
            tokens_seen=self.items.positions_seen(steps),
        )

    def _one_row(self, tokens: Tokens) -> np.ndarray:
        """Return all items of a split as one row of token ids, each behind a token of its own, int64 [positions and items]."""
        ids = tokens.values.astype(np.int64) + len(self.special)
        return np.insert(ids, tokens.offsets[: len(tokens)], self.special.index(END))

    def _predicted(self, held_out: np.ndarray) -> np.ndarray:
        """Return which tokens of the row of held-out items are predicted, bool [positions and items]."""
        flags = np.zeros(len(held_out), dtype=bool)
        tokens, first = self.items.validation, 0
        for inputs, labels, *_ in self._evaluation():
            items, places = np.nonzero(labels != IGNORE_INDEX)
            starts = tokens.offsets[first + items] + first + items + 1  # behind as many tokens of items
            flags[starts + places + self.causal] = True  # a causal label belongs to the place behind it
            first += len(inputs)
        return flags


make_learner = SymbolLearner
