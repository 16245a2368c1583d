"""What a linear probe can read from each layer of a frozen model (Alain & Bengio 2016; Tamkin et al. 2020, section 4)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from crossover.analyses.subject import Subject, sample
from crossover.training.scoring import Scorer

ROWS = 2000  # read-out positions of a split at most
STRENGTHS = (1e-4, 1e-2, 1.0, 100.0)  # of the penalty; the best on validation data is taken


@dataclass(frozen=True)
class Split:
    """Part of a split, as a probe reads it.

    Attributes:
        states: by layer, float32 [items, positions, width].
        scorer: of its items; `truth` holds their targets.
    """

    states: list[np.ndarray]
    scorer: Scorer


def analyse(subjects: list[Subject], seed: int) -> pd.DataFrame:
    """Fit a probe to the training items on each layer, and score it on the test items.

    Returns:
        One row for each layer (0 is what enters the first block): layer, score on the test items in the task's metric,
        that on the validation items, the strength of the penalty that was best there, and the task's floor.
    """
    [subject] = subjects
    target = subject.encoding["target"]
    training, validation, test = (read_split(subject, name, seed) for name in ("train", "validation", "test"))
    rows = []
    for layer, states in enumerate(training.states):
        probes = [Probe(target, strength).fit(states, training.scorer.truth) for strength in STRENGTHS]
        scores = [validation.scorer.score(probe.answer(validation.states[layer])) for probe in probes]
        best = int(np.argmax(scores))
        score = test.scorer.score(probes[best].answer(test.states[layer]))
        rows.append((layer, score, scores[best], STRENGTHS[best], subject.encoding["floor"]))
    return pd.DataFrame(rows, columns=["layer", "score", "validation_score", "strength", "floor"])


def read_split(subject: Subject, split: str, seed: int) -> Split:
    """The states of a split, or of items drawn from it, at the positions where the head of the model would read."""
    tokens = subject.tokens(split)
    items = sample(len(tokens), ROWS // subject.model.positions, seed)
    parts = [
        [subject.model.read_out(layer, lengths).cpu().numpy() for layer in layers]
        for _, layers, lengths in subject.states(tokens, items)
    ]
    names = pd.read_parquet(subject.folder / f"{split}.items.parquet").iloc[items].reset_index(drop=True)
    states = [np.concatenate(layer) for layer in zip(*parts, strict=True)]
    return Split(states, Scorer(subject.encoding["target"], names, tokens.targets[items]))


class Probe:
    """Ridge regression from standardised states: to numbers, to -1 and 1 for bits, and to one such bit for each class.

    It has one solution, which is found at once. Logistic regression comes close to its own in minutes at best, where states are
    all but collinear, and then reads no more.
    """

    def __init__(self, target: dict[str, Any], strength: float) -> None:
        """Make a probe for the target of an encoding.json, with a penalty on squared weights."""
        self.target, self.scaler, self.model = target, StandardScaler(), Ridge(strength, solver="svd")

    def fit(self, states: np.ndarray, targets: np.ndarray) -> "Probe":
        """Fit it to states [items, positions, width] and targets [items], or [items, positions, bits]."""
        if self.target["kind"] == "class":
            targets = np.eye(len(self.target["classes"]))[targets]
        wanted = targets if self.target["kind"] == "number" else 2.0 * targets - 1
        rows = self.scaler.fit_transform(_rows(states))
        self.model.fit(rows, wanted.reshape(len(rows), -1))
        return self

    def answer(self, states: np.ndarray) -> np.ndarray:
        """Answers in the form of the targets, for states [items, positions, width]."""
        rows = self.scaler.transform(_rows(states))
        answers = self.model.predict(rows).reshape(*states.shape[:2], -1)
        match self.target["kind"]:
            case "class":
                return answers[:, 0].argmax(axis=1)
            case "bits":
                return (answers > 0).astype(np.int8)
        return answers[:, 0, 0]


def _rows(states: np.ndarray) -> np.ndarray:
    """Every read-out position as a row, float64 [items * positions, width]."""
    return states.reshape(-1, states.shape[-1]).astype(np.float64)
