"""Fine-tune one run with one seed, and score it."""

import importlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from crossover.encodings.registry import AUGMENTATIONS
from crossover.encodings.tokens import Change, Tokens
from crossover.files import read_sealed_json, sha256, write_json, write_parquet
from crossover.models.factory import build_model
from crossover.models.module import SequenceModel
from crossover.runs.files import write_provenance
from crossover.runs.provenance import Recorder
from crossover.seeds import derived_seed
from crossover.training.loop import Settings, batches, slices, train
from crossover.training.reading import check_checkpoint, tensors_of
from crossover.training.scoring import Scorer, answers_of, loss_of
from crossover.training.state import StateStore

log = logging.getLogger(__name__)
EVALUATION_ITEMS = 256  # items of a forward pass without gradients


def finetune_run(
    spec: dict[str, Any], seed: int, out: Path, device: torch.device, save_every: float, command: str
) -> None:
    """Train one run with one seed, and write its four files.

    Args:
        spec: the content of results/specs/<run>.json.
        seed: every random draw of the run follows from it.
        out: results/runs/<run>/seed-<n>/, which gets metrics.json, curve.parquet, predictions.parquet (the whole
            test split, once; empty in a run that only selects a rate) and provenance.json.
        device: where to compute.
        save_every: seconds between saves of the training state.
        command: what was called, for the provenance.

    Raises:
        UserError: an input is missing, damaged, or does not fit the checkpoint.
    """
    recorder = Recorder(device, spec["code"], command)
    tokens_folder = Path("results/tokens") / spec["tokens"]
    encoding = read_sealed_json(tokens_folder / "encoding.json")
    checkpoint_digest = check_checkpoint(spec["checkpoint"])
    splits = {name: Tokens.open(tokens_folder, name) for name in ("train", "validation", "test")}
    scorers = {name: _scorer(tokens_folder, name, encoding["target"], splits[name]) for name in ("validation", "test")}
    model = build_model(spec, encoding, seed).to(device)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in model.parameters())
    rate = learning_rate(spec)
    log.info("%s seed %d: %d of %d parameters are trained, learning rate %g", spec["name"], seed, trained, total, rate)

    torch.manual_seed(derived_seed(seed, "dropout"))
    order = batches(len(splits["train"]), spec["training"]["batch_size"], derived_seed(seed, "order"))
    change_of = changes_of_training(encoding, derived_seed(seed, "augment"))

    def losses_of_step(step: int) -> Iterator[Tensor]:
        inputs, lengths, targets = tensors_of(splits["train"], order(step), device, change_of(step))
        for part in slices(len(lengths), spec["training"]["micro_batch"] or len(lengths)):
            share = len(lengths[part]) / len(lengths)
            yield share * loss_of(model(inputs[part], lengths[part]), targets[part])

    def validate() -> tuple[float, float]:
        answers, loss = evaluate(model, splits["validation"], encoding["target"], device)
        return scorers["validation"].score(answers), loss

    store = StateStore(out / "state", save_every)
    progress = train(model, _settings(spec["training"], rate), losses_of_step, validate, store, model.rates)

    test, predictions = _score_test(model, splits["test"], scorers["test"], device, spec["score_test"])
    task, checkpoint, condition = spec["name"].rsplit("-", 1)[0].split(".")
    metrics = {
        "run": spec["name"],
        "seed": seed,
        "task": task,
        "checkpoint": checkpoint,
        "condition": condition,
        "learning_rate": rate,
        "metric": encoding["target"]["metric"],
        "floor": encoding["floor"],
        "steps": progress.step,
        "best_step": progress.best_step,
        "stopped_early": progress.step < spec["training"]["max_steps"],
        "validation": {"score": progress.best_score, "loss": progress.best_loss},
        "test": test,
        "parameters": {"trained": trained, "total": total},
    }
    curve = pd.DataFrame(progress.curve, columns=["step", "split", "loss", "score"])
    write_parquet(out / "curve.parquet", curve.astype({"score": "float64"}))
    write_parquet(out / "predictions.parquet", predictions)
    write_json(out / "metrics.json", metrics)
    inputs = {"tokens": sha256(tokens_folder / "encoding.json"), "checkpoint": checkpoint_digest}
    write_provenance(out, recorder.finish(progress.resumed, inputs))
    store.clear()


def _scorer(folder: Path, split: str, target: dict[str, Any], tokens: Tokens) -> Scorer:
    return Scorer(target, pd.read_parquet(folder / f"{split}.items.parquet"), tokens.targets)


def _settings(training: dict[str, Any], rate: float) -> Settings:
    return Settings(
        max_steps=training["max_steps"],
        evaluate_every=training["evaluate_every"],
        patience=training["patience"],
        best_possible=1.0,
        learning_rate=rate,
        weight_decay=training["weight_decay"],
        gradient_clip=training["gradient_clip"],
    )


def learning_rate(spec: dict[str, Any]) -> float:
    """The rate of a run: the one in its spec, or the one that was selected for it on validation data."""
    if isinstance(spec["learning_rate"], dict):
        return float(read_sealed_json(Path("results/rates") / f"{spec['name']}.json")["learning_rate"])
    return float(spec["learning_rate"])


def changes_of_training(encoding: dict[str, Any], seed: int) -> Callable[[int], Change | None]:
    """What changes the training items of a step: the augmentation of images that the encoding asks for, or nothing."""
    image = encoding.get("image")
    if not (image and image["augment"]):
        return lambda step: None
    augmentation = importlib.import_module(AUGMENTATIONS[image["augment"]]).Augmentation(image, seed)
    return lambda step: partial(augmentation, step=step)


def evaluate(
    model: SequenceModel, tokens: Tokens, target: dict[str, Any], device: torch.device
) -> tuple[np.ndarray, float]:
    """Answer a whole split, every item once.

    Returns:
        The answers, int64 [items] or [items, positions, bits] or float32 [items], and the mean loss.
    """
    order = np.argsort(tokens.lengths, kind="stable")  # neighbours of one length need no padding
    losses, answers = [], []
    for part in slices(len(tokens), EVALUATION_ITEMS):
        inputs, lengths, targets = tensors_of(tokens, order[part], device)
        logits = model(inputs, lengths)
        losses.append(loss_of(logits, targets).item() * len(order[part]))
        answers.append(answers_of(logits, target).cpu().numpy())
    back = np.argsort(order, kind="stable")
    return np.concatenate(answers)[back], sum(losses) / len(tokens)


@torch.inference_mode()
def _score_test(
    model: SequenceModel, tokens: Tokens, scorer: Scorer, device: torch.device, wanted: bool
) -> tuple[dict[str, Any] | None, pd.DataFrame]:
    if not wanted:  # the rate is selected on validation data alone: the test split is not looked at
        return None, scorer.items.iloc[:0].assign(score=np.empty(0))
    model.eval()
    answers, loss = evaluate(model, tokens, scorer.target, device)
    metrics = scorer.metrics(answers)
    table = scorer.table(answers)
    return {
        "score": metrics[scorer.target["metric"]],
        "metrics": metrics,
        "loss": loss,
        "items": len(table),
    }, table
