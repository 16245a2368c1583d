"""Learn from a corpus of text, with a tokenizer that is trained on it too."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from crossover.errors import UserError
from crossover.models.discovery import ADAPTERS
from crossover.pretraining.corpus import read_corpus
from crossover.pretraining.language_model import LanguageModel, losses_beside_counting
from crossover.pretraining.objectives import (
    IGNORE_INDEX,
    Objective,
    draw_windows,
    evaluation_batches,
    held_out_loss,
    masked,
    mean_loss,
    next_token,
)
from crossover.pretraining.tokenizer import MASK, SPECIAL, tokenize
from crossover.specs.checkpoints import PretrainedSpec
from crossover.specs.descriptions import CorpusSize, PretrainingReport


class TextLearner:
    """A language model that reads windows of text."""

    def __init__(self, spec: PretrainedSpec, corpus: Path, device: torch.device) -> None:
        """Train the tokenizer, and draw the model.

        Args:
            spec: of the checkpoint.
            corpus: dataset.json of a text dataset, or card.json of a task.
            device: where to compute.

        Raises:
            UserError: the corpus is damaged, or too small for the context.
        """
        self.training, self.context, self.device = spec.training, spec.context, device
        kind = str(ADAPTERS[spec.architecture].objective)
        assert spec.vocabulary is not None
        tokenizer, self.tokens = tokenize(
            read_corpus(corpus), spec.vocabulary, SPECIAL[kind], spec.training.held_out, spec.training.seed
        )
        if min(len(self.tokens.training), len(self.tokens.held_out)) <= self.context:
            raise UserError(
                f"{corpus}: the corpus is shorter than one context of {self.context} tokens; use more text or a shorter context."
            )
        self.size = tokenizer.get_vocab_size()
        self.objective = _objective(kind, self.size)
        self.language_model = LanguageModel(spec, tokenizer, device)

    @property
    def model(self) -> nn.Module:
        """Return what is trained."""
        return self.language_model.trained

    def loss(self, step: int) -> Tensor:
        """Return the mean loss of random windows."""
        rng = np.random.default_rng([self.training.seed, step])
        windows = draw_windows(self.tokens.training, self.context, self.training.batch_size, rng)
        return mean_loss(self.model, *self.objective(windows, rng, True), self.device)

    def held_out_loss(self) -> float:
        """Return the mean loss of the predicted held-out tokens, in consecutive windows."""
        return held_out_loss(self.model, self._evaluation(), self.device)

    def _evaluation(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return evaluation_batches(self.tokens.held_out, self.context, self.objective, self.training.seed)

    def save(self, out: Path) -> None:
        """Write the model and its tokenizer."""
        self.language_model.save(out)

    def report(self, loss: float, steps: int) -> PretrainingReport:
        """Return what was learned, beside what counting tokens reaches."""
        tokens = self.tokens
        predicted = np.concatenate([(labels != IGNORE_INDEX).ravel() for _, labels in self._evaluation()])
        losses = losses_beside_counting(loss, tokens.training, tokens.held_out, predicted, self.size)
        per_character = (len(tokens.held_out) - 1) / tokens.held_out_characters / math.log(2)
        return PretrainingReport(
            vocabulary=self.size,
            corpus=CorpusSize(
                characters=tokens.characters,
                tokens=len(tokens.training) + len(tokens.held_out),
                held_out_tokens=len(tokens.held_out),
                predicted_tokens=int(predicted.sum()),
            ),
            loss=losses,
            perplexity={name: math.exp(value) for name, value in losses.items()},
            # Only a model that reads from left to right gives a text a probability.
            bits_per_character=(
                {name: value * per_character for name, value in losses.items()} if predicted.all() else None
            ),
            tokens_seen=steps * self.training.batch_size * self.context,
        )


def _objective(kind: str, tokens: int) -> Objective:
    if kind == "causal":
        return next_token
    special = SPECIAL[kind]
    return masked(special.index(MASK), len(special), tokens)


make_learner = TextLearner
