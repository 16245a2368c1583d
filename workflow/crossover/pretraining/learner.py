"""The interface of learners: what is trained, on what, and how it is measured.

The module of a learner has `make_learner(spec, corpus, device) -> Learner`: `spec` is that of the checkpoint, `corpus` the path
of what describes the corpus, and `device` where to compute.
"""

from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from crossover.specs.descriptions import PretrainingReport


class Learner(Protocol):
    """A model that is pretrained on a corpus; the batch of a step follows from the spec's seed and the step alone."""

    @property
    def model(self) -> nn.Module:
        """Return the module whose parameters are trained."""

    def loss(self, step: int) -> Tensor:
        """Return the mean loss of the batch of a step, counted from 0."""

    def held_out_loss(self) -> float:
        """Return the mean loss on what is held out, the same questions each time."""

    def save(self, out: Path) -> None:
        """Write config.json, model.safetensors and tokenizer.json, each in one step."""

    def report(self, loss: float, steps: int) -> PretrainingReport:
        """Return what was learned after some steps, with its loss on what is held out beside that of simpler models."""
