"""The training loop, shared by fine-tuning and pretraining.

It computes the same numbers whether it ran through or was stopped and resumed at any step: all that changes
from step to step is in the state, and the batch of a step follows from the seed and the step alone.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from crossover.errors import UserError
from crossover.runs.events import record
from crossover.training.schedules import Schedule
from crossover.training.state import Store, TrainingState, interruptible

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoopSettings:
    """How to train.

    Attributes:
        max_steps: optimizer steps at most.
        evaluate_every: steps between evaluations; there is one before the first step and one at the end too.
        schedule: the learning rate of each step.
        patience: evaluations without a better score before stopping, or None to go on.
        best_possible: a score that cannot be beaten, which ends the training, or None.
        optimizer: `adamw`, or `adam`, whose weight decay is part of the gradient.
        weight_decay: of the decayed parameters.
        decayed: `matrices`, so that vectors (norms, biases) have no decay, or `all`.
        gradient_clip: maximum gradient norm, or None.
        keep: the weights that are used in the end: of the `best` score, or the `last` ones.
    """

    max_steps: int
    evaluate_every: int
    schedule: Schedule
    patience: int | None = None
    best_possible: float | None = None
    optimizer: Literal["adamw", "adam"] = "adamw"
    weight_decay: float = 0.0
    decayed: Literal["matrices", "all"] = "matrices"
    gradient_clip: float | None = 1.0
    keep: Literal["best", "last"] = "best"


@dataclass
class Progress:
    """What has been reached; all of it is part of the training state.

    Attributes:
        step: optimizer steps done.
        best_score: validation score of the weights that are kept.
        best_loss: validation loss of them.
        best_step: steps that they are the result of; 0 while there are none but those that the training began with.
        stale: evaluations since the best score.
        curve: rows (step, split, loss, score).
        loss_sum: sum of training losses since the last evaluation.
        loss_count: number of those losses.
        diverged: the validation loss was not a finite number, so that going on is pointless.
        resumed: how often the run was resumed.
    """

    step: int = 0
    best_score: float = -math.inf
    best_loss: float = math.inf
    best_step: int = 0
    stale: int = 0
    curve: list[tuple[int, str, float, float | None]] | None = None
    loss_sum: float | Tensor = 0.0  # a tensor on the model's device: reading it at each step would stall a GPU
    loss_count: int = 0
    diverged: bool = False
    resumed: int = 0


class Interrupted(SystemExit):
    """The run was asked to end and has saved its state; the exit status says that it is not done."""

    def __init__(self) -> None:
        super().__init__(128 + 15)


def train(
    model: nn.Module,
    settings: LoopSettings,
    losses_of: Callable[[int], Iterable[Tensor]],
    evaluate: Callable[[], tuple[float, float]],
    store: Store,
    rates: Mapping[str, float] | None = None,
    at_end: Callable[[], None] = lambda: None,
) -> Progress:
    """Train, keep the weights that the settings ask for, and load them into the model at the end.

    The weights before the first step are evaluated, but never kept: a few items of validation can favour them by chance. Of
    equal scores the earlier one is the best. Only when the loss is not finite at each later evaluation that could keep weights
    are those of the beginning used; `best_step` is 0 then.

    Args:
        model: its parameters with `requires_grad` are trained.
        settings: how.
        losses_of: the mean loss of the batch of a step (counted from 0), in micro-batches whose gradients are accumulated.
        evaluate: score and mean loss on the whole validation split; the model is in evaluation mode.
        store: where the state is saved, and resumed from when there is one.
        rates: for some parameters a multiple of the learning rate, by name; 1 for the others.
        at_end: called after the last step, before the weights that are kept are loaded into the model.

    Raises:
        UserError: the validation loss is not a finite number before the first step.
        Interrupted: SIGTERM or SIGINT came; the state is saved.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = _optimizer(trained, settings, rates or {})
    progress, best = _resume(store, trained, optimizer) or (Progress(curve=[]), {})
    clock = _Clock(progress.step, settings.max_steps, store)
    with interruptible() as interruption:
        if not progress.curve:
            _evaluate(model, evaluate, settings, progress, trained, best, clock)
            if progress.diverged:
                raise UserError(
                    "the validation loss is not a finite number before the first step; look for NaN or infinity in the "
                    "checkpoint's weights and in the task's values."
                )
        while progress.step < settings.max_steps and not _exhausted(progress, settings):
            model.train()
            for group in optimizer.param_groups:
                group["lr"] = settings.schedule(progress.step) * group["multiple"]
            loss: float | Tensor = 0.0
            for part in losses_of(progress.step):
                part.backward()
                loss = loss + part.detach()
            if settings.gradient_clip is not None:
                nn.utils.clip_grad_norm_(trained.values(), settings.gradient_clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            progress.step += 1
            progress.loss_sum = progress.loss_sum + loss
            progress.loss_count += 1
            if progress.step % settings.evaluate_every == 0 or progress.step == settings.max_steps:
                _evaluate(model, evaluate, settings, progress, trained, best, clock)
            ending = interruption.requested  # looked at once: it may change at any moment
            if ending or store.due():
                _save(store, _state(progress, trained, best, optimizer))
            if ending:
                log.info("asked to end at step %d", progress.step)
                raise Interrupted
    at_end()
    put_weights(trained, best)
    return progress


def _exhausted(progress: Progress, settings: LoopSettings) -> bool:
    if progress.best_step and settings.best_possible is not None and progress.best_score >= settings.best_possible:
        return True
    if progress.diverged:
        log.warning("the validation loss is not finite any more: stopped; the weights that were kept so far are used")
        return True
    return settings.patience is not None and progress.stale >= settings.patience


def _optimizer(
    trained: Mapping[str, nn.Parameter], settings: LoopSettings, rates: Mapping[str, float]
) -> torch.optim.Optimizer:
    """Return the optimizer, with a group of parameters for each pair of a weight decay and a multiple of the rate."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in trained.items():
        decay = settings.weight_decay if parameter.dim() >= 2 or settings.decayed == "all" else 0.0
        groups.setdefault((decay, rates.get(name, 1.0)), []).append(parameter)
    make = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return make(
        [
            {"params": members, "weight_decay": decay, "multiple": multiple}
            for (decay, multiple), members in groups.items()
        ],
        lr=settings.schedule(0),
        fused=True,
    )


def _evaluate(
    model: nn.Module,
    evaluate: Callable[[], tuple[float, float]],
    settings: LoopSettings,
    progress: Progress,
    trained: dict[str, nn.Parameter],
    best: dict[str, Tensor],
    clock: "_Clock",
) -> None:
    model.eval()
    with torch.inference_mode():
        score, loss = evaluate()
    assert progress.curve is not None
    if progress.loss_count:
        progress.curve.append((progress.step, "train", float(progress.loss_sum) / progress.loss_count, None))
    progress.curve.append((progress.step, "validation", loss, score))
    progress.diverged = not math.isfinite(loss)
    better = score > progress.best_score or not progress.best_step  # than none but the weights of the beginning
    wanted = better if settings.keep == "best" else progress.step in (0, settings.max_steps)
    progress.stale += 1
    if wanted and not progress.diverged:
        progress.best_score, progress.best_loss, progress.best_step, progress.stale = score, loss, progress.step, 0
        best.update({name: parameter.detach().clone() for name, parameter in trained.items()})
    clock.report(progress, score, loss)
    progress.loss_sum, progress.loss_count = 0.0, 0


def _state(
    progress: Progress, trained: dict[str, nn.Parameter], best: dict[str, Tensor], optimizer: Any
) -> TrainingState:
    return {
        "progress": vars(progress),
        "trained": {name: parameter.detach() for name, parameter in trained.items()},
        "best": best,
        "optimizer": optimizer.state_dict(),
        "random": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()},
    }


def _save(store: Store, state: TrainingState) -> None:
    step = state["progress"]["step"]
    try:
        store.save(state)
        record(store.folder.parent, "saved", step=step)
    except UserError as error:  # a full disk may be cleared before the run has ended; the states before are whole
        log.warning("the state at step %d could not be saved: %s", step, error)


def _resume(
    store: Store, trained: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> tuple[Progress, dict[str, Tensor]] | None:
    state = store.load()
    if state is None:
        return None
    put_weights(trained, state["trained"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"]["cpu"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["random"]["cuda"])
    progress = Progress(**state["progress"])
    progress.resumed += 1
    device = next(iter(trained.values())).device
    log.info("resumed at step %d", progress.step)
    record(store.folder.parent, "resumed", step=progress.step)
    return progress, {name: tensor.to(device) for name, tensor in state["best"].items()}


@torch.no_grad()
def put_weights(trained: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    """Copy values into parameters, by their names."""
    for name, tensor in values.items():
        trained[name].copy_(tensor)


class _Clock:
    """Speed since this process began, and what it means for the rest."""

    def __init__(self, step: int, max_steps: int, store: Store) -> None:
        self.first, self.max_steps, self.store, self.start = step, max_steps, store, time.monotonic()

    def report(self, progress: Progress, score: float, loss: float) -> None:
        """Write one line of progress to the log, and a note for those who ask from elsewhere."""
        speed = (progress.step - self.first) / max(time.monotonic() - self.start, 1e-9)
        left = f"{(self.max_steps - progress.step) / speed:.0f} s left at most" if speed else "starting"
        training = f"{float(progress.loss_sum) / progress.loss_count:.4f}" if progress.loss_count else "-"
        log.info(
            "step %d/%d  training loss %s  validation loss %.4f score %.4f  best %.4f at %d  %.1f steps/s  %s",
            *(progress.step, self.max_steps, training, loss, score),
            *(progress.best_score, progress.best_step, speed, left),
        )
        self.store.report(progress.step, self.max_steps, speed)


def batches(items: int, batch_size: int, seed: int) -> Callable[[int], np.ndarray]:
    """Return the order of items: each epoch a fresh permutation that follows from the seed and the epoch alone.

    Args:
        items: number of items.
        batch_size: items per optimizer step; the last batch of an epoch may have fewer.
        seed: the run's seed.

    Returns:
        A function from a step, counted from 0, to the indices of its items, int64 [batch].
    """
    per_epoch = math.ceil(items / batch_size)
    current: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def batch(step: int) -> np.ndarray:
        nonlocal current
        epoch, position = divmod(step, per_epoch)
        if current[0] != epoch:
            current = (epoch, np.random.default_rng([seed, epoch]).permutation(items))
        return current[1][position * batch_size : (position + 1) * batch_size]

    return batch


def slices(items: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of at most `size` items that cover all of them."""
    for start in range(0, items, size):
        yield slice(start, min(start + size, items))
