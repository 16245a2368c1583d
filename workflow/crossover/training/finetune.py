"""Fine-tune one run with one seed, at the learning rate that is best on validation data, and score it."""

import importlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from crossover.config.training import Training
from crossover.encodings.registry import AUGMENTATIONS
from crossover.encodings.tokens import Tokens, Transform
from crossover.errors import UserError
from crossover.files import sha256, write_json, write_parquet
from crossover.models.factory import build_model
from crossover.models.module import SequenceModel
from crossover.models.trainable import count_parameters
from crossover.models.weights import save_trained, trained_parameters
from crossover.runs.files import WEIGHTS, write_provenance
from crossover.runs.provenance import Recorder
from crossover.seeds import derived_seed
from crossover.specs.descriptions import (
    EncodedTarget,
    EncodingDescription,
    Metrics,
    ParameterCounts,
    TestResult,
    Trial,
    ValidationResult,
)
from crossover.specs.runs import RunSpec
from crossover.training.collate import collate
from crossover.training.constant_states import Network, constant_states
from crossover.training.device import device_use
from crossover.training.loop import LoopSettings, Progress, batches, slices, train
from crossover.training.parts import parts_by_length
from crossover.training.rates import RateSearch, TrialStore
from crossover.training.schedules import make_schedule
from crossover.training.scoring import Scorer, answers_of, loss_of
from crossover.training.state import StateStore
from crossover.training.subsets import draw_subset
from crossover.training.verification import verify_checkpoint

log = logging.getLogger(__name__)
EVALUATION_ITEMS = 256  # items of a forward pass without gradients
SELECTION_ITEMS = 10  # of the validation split, at least, to select weights or a learning rate by their score


def finetune_run(spec: RunSpec, seed: int, out: Path, device: torch.device, save_every: float, command: str) -> None:
    """Train one run with one seed at each of its learning rates, and write the files of the best one.

    Args:
        spec: of the run.
        seed: every random draw of the run follows from it.
        out: results/runs/<run>/seed-<n>/, which gets metrics.json, curve.parquet, predictions.parquet (the whole
            test split, once), weights.safetensors (the trained parameters; empty
            unless they are kept) and provenance.json.
        device: where to compute.
        save_every: seconds between saves of the training state.
        command: what was called, for the provenance.

    Raises:
        UserError: an input is missing, damaged, or does not fit the checkpoint.
    """
    recorder = Recorder(spec.code, command)
    tokens_folder = Path("results/tokens") / spec.tokens
    encoding = EncodingDescription.load(tokens_folder / "encoding.json")
    checkpoint_digest = verify_checkpoint(spec.checkpoint)
    splits = {name: Tokens.open(tokens_folder, name) for name in ("train", "validation", "test")}
    if spec.head.pads:
        splits = {name: tokens.padded(encoding) for name, tokens in splits.items()}
    _require_selection(spec, len(splits["validation"]))
    scorers = {name: _scorer(tokens_folder, name, encoding.target, splits[name]) for name in ("validation", "test")}
    if spec.train_subset:
        splits["train"] = draw_subset(splits["train"], spec.train_subset, derived_seed(seed, "train items"))
    model = build_model(spec, encoding, splits["train"], seed).to(device)
    parameters = count_parameters(model, encoding.longest)
    log.info("%s seed %d: %d of %d parameters are trained", spec.name, seed, parameters.trained, parameters.total)

    order = batches(len(splits["train"]), spec.training.batch_size, derived_seed(seed, "order"))
    augmentation_of = make_augmentation(encoding, derived_seed(seed, "augment"))
    network, splits = _with_constant_states(spec, model, splits, encoding, device)

    def losses_of_step(step: int) -> Iterator[Tensor]:
        return losses_of(
            network, splits["train"], order(step), spec.training.micro_batch, device, augmentation_of(step)
        )

    def validate() -> tuple[float, float]:
        answers, loss = evaluate(network, splits["validation"], encoding.target, device)
        return scorers["validation"].score(answers), loss

    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    store = StateStore(out / "state", save_every)
    search = RateSearch(spec.learning_rates, trained, store, keep_last=spec.keep_weights == "last")

    def train_with(rate: float, share: float, store: TrialStore) -> Progress:
        torch.manual_seed(derived_seed(seed, "dropout"))
        settings = _loop_settings(spec.training, rate, len(splits["train"]), share)
        return train(model, settings, losses_of_step, validate, store, model.rates, search.at_last_step)

    rate, final = search.run(train_with)
    test, predictions = _score_test(model, splits["test"], scorers["test"], device)
    metrics = _metrics(spec, seed, encoding, len(splits["train"]), rate, final, search.tried, test, parameters)
    curve = pd.DataFrame(final.curve, columns=["step", "split", "loss", "score"])
    write_parquet(out / "curve.parquet", curve.astype({"score": "float64"}))
    write_parquet(out / "predictions.parquet", predictions)
    kept = search.last if spec.keep_weights == "last" else trained_parameters(model) if spec.keep_weights else {}
    save_trained(kept, out / WEIGHTS)
    write_json(out / "metrics.json", metrics.content())
    inputs = {"tokens": sha256(tokens_folder / "encoding.json"), "checkpoint": checkpoint_digest}
    trainings = [*search.tried.values(), *([final] if spec.learning_rates.share < 1 else [])]
    write_provenance(out, recorder.finish(device_use(device), sum(one.resumed for one in trainings), inputs))
    store.clear()


def _with_constant_states(
    spec: RunSpec, model: SequenceModel, splits: dict[str, Tokens], encoding: EncodingDescription, device: torch.device
) -> tuple[Network, dict[str, Tokens]]:
    """Return what computes logits in training and validation, and the splits that it takes.

    It starts from states that are computed once where that pays: each training item is read more than once, and the same way.
    """
    read, items = [splits["train"], splits["validation"]], len(splits["train"])
    if (encoding.image and encoding.image.augment) or spec.training.steps(items) * spec.training.batch_size < 2 * items:
        return model, splits
    constant = constant_states(model, splits["train"], device)
    if constant is None or not constant.fits(read):
        return model, splits
    log.info("what is not trained is computed once for each item, not at each step")
    return constant.network, splits | {name: constant.tokens(splits[name], device) for name in ("train", "validation")}


def _require_selection(spec: RunSpec, items: int) -> None:
    """Raise if validation scores select something, but are those of too few items: the luckiest weights would win."""
    if items < SELECTION_ITEMS and (spec.training.select == "best" or len(spec.learning_rates.rates) > 1):
        raise UserError(
            f"the validation split of results/tokens/{spec.tokens} has {items} items, but at least {SELECTION_ITEMS} are needed "
            "to select weights or a learning rate; enlarge it, or set select: last and give one learning rate."
        )


def _metrics(
    spec: RunSpec,
    seed: int,
    encoding: EncodingDescription,
    train_items: int,
    rate: float,
    final: Progress,
    tried: Mapping[float, Progress],
    test: TestResult,
    parameters: ParameterCounts,
) -> Metrics:
    share = spec.learning_rates.share
    trials = [_trial(one, tried[one], spec.training.steps(train_items, share)) for one in sorted(tried)]
    return Metrics(
        run=spec.name,
        seed=seed,
        task=spec.cell.task,
        checkpoint=spec.cell.checkpoint,
        condition=spec.cell.condition,
        train_items=train_items,
        metric=encoding.target.metric,
        floor=encoding.floor,
        selected=_trial(rate, final, spec.training.steps(train_items)),
        trials=tuple(trials),
        test=test,
        parameters=parameters,
    )


def _trial(rate: float, progress: Progress, steps: int) -> Trial:
    return Trial(
        learning_rate=rate,
        steps=progress.step,
        best_step=progress.best_step,
        stopped_early=progress.step < steps,
        validation=ValidationResult(score=progress.best_score, loss=progress.best_loss),
    )


def _scorer(folder: Path, split: str, target: EncodedTarget, tokens: Tokens) -> Scorer:
    return Scorer(target, pd.read_parquet(folder / f"{split}.items.parquet"), tokens.targets)


def _loop_settings(training: Training, rate: float, items: int, share: float) -> LoopSettings:
    steps = training.steps(items, share)
    return LoopSettings(
        max_steps=steps,
        evaluate_every=training.steps_between_evaluations(items),
        schedule=make_schedule(training.schedule, rate, math.ceil(share * training.warm_up_steps(items)), steps),
        patience=training.patience,
        best_possible=None if training.select == "last" else 1.0,
        optimizer=training.optimizer,
        weight_decay=training.weight_decay,
        decayed=training.decayed,
        gradient_clip=training.gradient_clip,
        keep=training.select,
    )


def make_augmentation(encoding: EncodingDescription, seed: int) -> Callable[[int], Transform | None]:
    """Return, for each step, the augmentation of training images that the encoding asks for, or None."""
    image = encoding.image
    if image is None or image.augment is None:
        return lambda step: None
    augmentation = importlib.import_module(AUGMENTATIONS[image.augment]).Augmentation(image, seed)
    return lambda step: partial(augmentation, step=step)


def losses_of(
    network: Network,
    tokens: Tokens,
    items: np.ndarray,
    micro_batch: int | None,
    device: torch.device,
    transform: Transform | None = None,
) -> Iterator[Tensor]:
    """Compute the loss of a batch in parts: their sum is the mean loss of its items.

    Args:
        network: from values and lengths to logits.
        tokens: the training split.
        items: of the batch, int64 [batch].
        micro_batch: items of a part at most; None for any number.
        device: where the network is.
        transform: applied to the stored values of the whole batch, such as an augmentation.
    """
    batch = collate(tokens, items, device, transform)
    for part in parts_by_length(tokens.lengths[items], micro_batch or len(items), device):
        inputs, lengths, targets = (tensor[part] for tensor in batch)
        longest = tokens.lengths[items[part[0]]]
        yield len(part) / len(items) * loss_of(network(inputs[:, :longest], lengths), targets)


def evaluate(network: Network, tokens: Tokens, target: EncodedTarget, device: torch.device) -> tuple[np.ndarray, float]:
    """Answer a whole split, every item once.

    Returns:
        The answers, int64 [items] or [items, positions, bits] or float32 [items], and the mean loss.
    """
    order = np.argsort(tokens.lengths, kind="stable")  # neighbours of one length need no padding
    losses, answers = [], []
    for part in slices(len(tokens), EVALUATION_ITEMS):
        inputs, lengths, targets = collate(tokens, order[part], device)
        logits = network(inputs, lengths)
        losses.append(loss_of(logits, targets).item() * len(order[part]))
        answers.append(answers_of(logits, target).cpu().numpy())
    back = np.argsort(order, kind="stable")
    return np.concatenate(answers)[back], sum(losses) / len(tokens)


@torch.inference_mode()
def _score_test(
    model: SequenceModel, tokens: Tokens, scorer: Scorer, device: torch.device
) -> tuple[TestResult, pd.DataFrame]:
    model.eval()
    answers, loss = evaluate(model, tokens, scorer.target, device)
    metrics = scorer.metrics(answers)
    table = scorer.table(answers)
    return TestResult(score=metrics[scorer.target.metric], metrics=metrics, loss=loss, items=len(table)), table
