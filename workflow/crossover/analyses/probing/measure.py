"""Linear probes on each layer of a frozen model (Alain & Bengio 2016; Tamkin et al. 2020, section 4)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from crossover.analyses.analysed_model import AnalysedModel, sample_indices
from crossover.specs.descriptions import EncodedTarget
from crossover.training.scoring import Scorer

ROWS = 2000  # read-out positions used of each split
PENALTIES = (1e-4, 1e-2, 1.0, 100.0)  # of ridge regression; selected on validation items


@dataclass(frozen=True)
class Features:
    """The hidden states of sampled items of a split at the read-out positions, and the scorer of those items.

    Attributes:
        states: of each layer, float32 [items, positions, width].
        scorer: scores predictions for these items; its `truth` holds their targets.
    """

    states: list[np.ndarray]
    scorer: Scorer


def measure(models: list[AnalysedModel], seed: int) -> pd.DataFrame:
    """Fit a probe to each layer on training items, and score it on test items.

    Returns:
        One row for each layer (0 is the input of the first block): layer, score on the test items in the task's metric,
        validation_score, strength (the penalty, selected by validation_score), and the task's floor.
    """
    [model] = models
    target = model.encoding.target
    training, validation, test = (extract_features(model, split, seed) for split in ("train", "validation", "test"))
    rows = []
    for layer, states in enumerate(training.states):
        probes = [LinearProbe(target, penalty).fit(states, training.scorer.truth) for penalty in PENALTIES]
        scores = [validation.scorer.score(probe.predict(validation.states[layer])) for probe in probes]
        best = int(np.argmax(scores))
        score = test.scorer.score(probes[best].predict(test.states[layer]))
        rows.append((layer, score, scores[best], PENALTIES[best], model.encoding.floor))
    return pd.DataFrame(rows, columns=["layer", "score", "validation_score", "strength", "floor"])


def extract_features(model: AnalysedModel, split: str, seed: int) -> Features:
    """Sample items of a split, and compute their hidden states where the model's head would read them."""
    tokens = model.tokens(split)
    items = sample_indices(len(tokens), ROWS // model.network.positions, seed)
    batches = [
        [model.network.read_out(layer, lengths).cpu().numpy() for layer in layers]
        for _, layers, lengths in model.hidden_states(tokens, items)
    ]
    names = pd.read_parquet(model.folder / f"{split}.items.parquet").iloc[items].reset_index(drop=True)
    states = [np.concatenate(layer) for layer in zip(*batches, strict=True)]
    return Features(states, Scorer(model.encoding.target, names, tokens.targets[items]))


class LinearProbe:
    """Ridge regression on standardised states: to a number, to -1 and 1 for each bit, or to -1 and 1 for each class.

    Ridge regression has a closed form. Logistic regression took minutes to converge where states are nearly collinear, and
    scored no higher.
    """

    def __init__(self, target: EncodedTarget, penalty: float) -> None:
        """Make a probe for the `target` of an encoding.json, with a penalty on the squared weights."""
        self.target, self.scaler, self.model = target, StandardScaler(), Ridge(penalty, solver="svd")

    def fit(self, states: np.ndarray, targets: np.ndarray) -> "LinearProbe":
        """Fit the probe to states [items, positions, width] and targets [items], or [items, positions, bits]."""
        if self.target.kind == "class":
            targets = np.eye(len(self.target.classes or ()))[targets]
        outputs = targets if self.target.kind == "number" else 2.0 * targets - 1
        rows = self.scaler.fit_transform(_rows(states))
        self.model.fit(rows, outputs.reshape(len(rows), -1))
        return self

    def predict(self, states: np.ndarray) -> np.ndarray:
        """Return predictions in the form of the targets, for states [items, positions, width]."""
        rows = self.scaler.transform(_rows(states))
        outputs: NDArray[np.float64] = self.model.predict(rows).reshape(*states.shape[:2], -1)
        match self.target.kind:
            case "class":
                classes: NDArray[np.int64] = outputs[:, 0].argmax(axis=1)
                return classes
            case "bits":
                return (outputs > 0).astype(np.int8)
        return outputs[:, 0, 0]


def _rows(states: np.ndarray) -> np.ndarray:
    """Return each read-out position as a row, float64 [items * positions, width]."""
    return states.reshape(-1, states.shape[-1]).astype(np.float64)
