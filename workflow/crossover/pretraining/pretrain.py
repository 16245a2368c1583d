"""Pretrain a small model on a corpus, and measure what it has learned."""

import importlib
import math
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from crossover.config.checkpoints import Pretraining
from crossover.files import sha256, write_parquet
from crossover.models.discovery import ADAPTERS
from crossover.pretraining.learner import Learner
from crossover.pretraining.registry import LEARNERS
from crossover.runs.provenance import Recorder
from crossover.seeds import derived_seed
from crossover.specs.checkpoints import PretrainedSpec
from crossover.specs.descriptions import PretrainedDescription
from crossover.training.device import device_use
from crossover.training.loop import LoopSettings, train
from crossover.training.schedules import Schedule
from crossover.training.state import StateStore

WARM_UP = 0.05  # share of the steps
FILES = ("config.json", "model.safetensors", "tokenizer.json", "curve.parquet")


def pretrain_checkpoint(
    spec: PretrainedSpec, corpus: Path, out: Path, device: torch.device, save_every: float, command: str
) -> None:
    """Train a model, and write what was made, what was learned, and at what cost.

    The files are config.json, model.safetensors, tokenizer.json, curve.parquet, checkpoint.json (the same bytes whenever
    the same checkpoint is made) and provenance.json.

    Args:
        spec: of the checkpoint.
        corpus: dataset.json of a text dataset, card.json of a task that is read as text, or encoding.json of a task's tokens.
        out: results/checkpoints/<checkpoint>/.
        device: where to compute.
        save_every: seconds between saves of the training state.
        command: what was called, for the provenance.

    Raises:
        UserError: the corpus is damaged, or does not fit the model.
    """
    recorder = Recorder(spec.code, command)
    learner: Learner = importlib.import_module(LEARNERS[spec.reads]).make_learner(spec, corpus, device)
    torch.manual_seed(derived_seed(spec.training.seed, "dropout"))

    def losses_of(step: int) -> list[Tensor]:
        return [learner.loss(step)]

    def validate() -> tuple[float, float]:
        loss = learner.held_out_loss()
        return -loss, loss

    store = StateStore(out / "state", save_every)
    progress = train(learner.model, _loop_settings(spec.training), losses_of, validate, store)

    parameters = sum(parameter.numel() for parameter in learner.model.parameters())
    learner.save(out)
    curve = pd.DataFrame(progress.curve, columns=["step", "split", "loss", "score"])
    write_parquet(out / "curve.parquet", curve[["step", "split", "loss"]])
    PretrainedDescription(
        name=spec.name,
        objective=str(ADAPTERS[spec.architecture].objective),
        parameters=parameters,
        steps=progress.step,
        best_step=progress.best_step,
        sha256={name: sha256(out / name) for name in FILES},
        **dict(learner.report(progress.best_loss, progress.step)),
    ).write(out / "checkpoint.json")
    provenance = recorder.finish(device_use(device), progress.resumed, {"corpus": sha256(corpus)})
    provenance.write(out / "provenance.json")
    store.clear()


def _loop_settings(training: Pretraining) -> LoopSettings:
    return LoopSettings(
        max_steps=training.steps,
        evaluate_every=max(1, training.steps // 20),
        schedule=pretraining_schedule(training.learning_rate, training.steps),
        weight_decay=training.weight_decay,
    )


def pretraining_schedule(learning_rate: float, steps: int) -> Schedule:
    """Return the learning rate of each step: a linear warm-up, then a cosine decay to a tenth of it."""
    warm_up = max(1, round(WARM_UP * steps))

    def rate(step: int) -> float:
        if step < warm_up:
            return learning_rate * (step + 1) / warm_up
        done = (step - warm_up) / max(1, steps - warm_up)
        return learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))

    return rate
