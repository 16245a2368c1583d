"""Fine-tune one run with one seed, and score it."""

import importlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from crossover.encodings.registry import AUGMENTATIONS
from crossover.encodings.tokens import Change, Tokens
from crossover.errors import UserError
from crossover.files import read_sealed_json, sha256, tree_digest, write_json, write_parquet
from crossover.models.sequence import SequenceModel, build_model, derived_seed
from crossover.results import write_provenance
from crossover.training.loop import Settings, batches, slices, train
from crossover.training.provenance import Recorder
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
    model = build_model(spec, encoding, seed).to(device)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in model.parameters())
    rate = learning_rate(spec)
    log.info("%s seed %d: %d of %d parameters are trained, learning rate %g", spec["name"], seed, trained, total, rate)

    torch.manual_seed(derived_seed(seed, "dropout"))
    order = batches(len(splits["train"]), spec["training"]["batch_size"], derived_seed(seed, "order"))
    change_of = changes_of_training(encoding, derived_seed(seed, "augment"))

    def loss_of(step: int) -> Tensor:
        logits, targets = _forward(model, splits["train"], order(step), device, change_of(step))
        return _loss(logits, targets)

    def validate() -> tuple[float, float]:
        scores, loss, _ = evaluate(model, splits["validation"], device)
        return float(scores.mean()), loss

    store = StateStore(out / "state", save_every)
    progress = train(model, _settings(spec["training"], rate), loss_of, validate, store)

    test, predictions = _score_test(model, splits["test"], encoding, tokens_folder, device, spec["score_test"])
    task, checkpoint, condition = spec["name"].rsplit("-", 1)[0].split(".")
    metrics = {
        "run": spec["name"],
        "seed": seed,
        "task": task,
        "checkpoint": checkpoint,
        "condition": condition,
        "learning_rate": rate,
        "metric": encoding["metric"],
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


def check_checkpoint(checkpoint: dict[str, Any]) -> str:
    """Compare a checkpoint's files with the digests that were recorded when it was made or planned.

    Returns:
        The SHA-256 of its weights.

    Raises:
        UserError: the weights are missing, or a file has changed since.
    """
    folder = Path(checkpoint["folder"])
    if not (folder / "model.safetensors").is_file():
        raise UserError(
            f"{folder}/model.safetensors is missing; weights are read from safetensors alone: make or convert them."
        )
    if "sha256" in checkpoint:  # a user's own folder, read in place
        if tree_digest(folder) != checkpoint["sha256"]:
            raise UserError(f"{folder} has changed since this run was planned; run snakemake again.")
        return sha256(folder / "model.safetensors")
    recorded = read_sealed_json(folder / "pretraining.json")["sha256"]
    for name, digest in recorded.items():
        if not (folder / name).exists() or sha256(folder / name) != digest:
            raise UserError(
                f"{folder / name} is not the file that pretraining wrote; delete {folder} and run snakemake again."
            )
    return recorded["model.safetensors"]


def changes_of_training(encoding: dict[str, Any], seed: int) -> Callable[[int], Change | None]:
    """What changes the training items of a step: the augmentation of images that the encoding asks for, or nothing."""
    image = encoding.get("image")
    if not (image and image["augment"]):
        return lambda step: None
    augmentation = importlib.import_module(AUGMENTATIONS[image["augment"]]).Augmentation(image, seed)
    return lambda step: partial(augmentation, step=step)


def _forward(
    model: SequenceModel, tokens: Tokens, indices: np.ndarray, device: torch.device, change: Change | None = None
) -> tuple[Tensor, Tensor]:
    values, _, targets = tokens.gather(indices, change)
    inputs = torch.from_numpy(values.astype(np.int64) if values.ndim == 2 else values).to(device)
    lengths = torch.from_numpy(tokens.lengths[indices]).to(device)
    return model(inputs, lengths), torch.from_numpy(targets.astype(np.int64)).to(device)


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


def evaluate(model: SequenceModel, tokens: Tokens, device: torch.device) -> tuple[np.ndarray, float, np.ndarray]:
    """Score a whole split, every item once.

    Returns:
        Scores, float64 [items]: 1 or 0 for a class, the share of right bits for bits; the mean loss in nats;
        and the predictions, int64 [items] or [items, positions, bits].
    """
    order = np.argsort(tokens.lengths, kind="stable")  # neighbours of one length need no padding
    scores, losses, predictions = [], [], []
    for part in slices(len(tokens), EVALUATION_ITEMS):
        logits, targets = _forward(model, tokens, order[part], device)
        predicted = logits.argmax(dim=-1)
        right = (
            (predicted == targets).double().flatten(1) if targets.ndim > 1 else (predicted == targets).double()[:, None]
        )
        scores.append(right.mean(dim=1).cpu().numpy())
        losses.append(_loss(logits, targets).item() * len(order[part]))
        predictions.append(predicted.cpu().numpy())
    back = np.argsort(order, kind="stable")
    return np.concatenate(scores)[back], sum(losses) / len(tokens), np.concatenate(predictions)[back]


@torch.inference_mode()
def _score_test(
    model: SequenceModel, tokens: Tokens, encoding: dict[str, Any], folder: Path, device: torch.device, wanted: bool
) -> tuple[dict[str, Any] | None, pd.DataFrame]:
    items = pd.read_parquet(folder / "test.items.parquet")
    if not wanted:  # the rate is selected on validation data alone: the test split is not looked at
        return None, items.iloc[:0].assign(score=np.empty(0))
    model.eval()
    scores, loss, predicted = evaluate(model, tokens, device)
    table = items.assign(score=scores)
    if encoding["target"]["kind"] == "class":
        classes = np.array(encoding["target"]["classes"])
        table = table.assign(target=classes[tokens.targets], prediction=classes[predicted])
    return {"score": float(scores.mean()), "loss": loss, "items": len(tokens)}, table
