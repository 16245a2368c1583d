"""Select a baseline: fit every candidate on training items, and take the one with the best validation score."""

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from crossover.baselines.features import Features, Matrix, features_of
from crossover.baselines.limits import largest_columns, largest_training, outputs_of
from crossover.baselines.models import Candidate, candidates, constant
from crossover.encodings.tokens import Tokens
from crossover.seeds import derived_seed
from crossover.specs.descriptions import BaselineCandidate, EncodingDescription
from crossover.specs.runs import TrainSubset
from crossover.training.scoring import Scorer
from crossover.training.subsets import draw_subset

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """The tokens of a task that a baseline learns from, and those of its test split, which selection does not open.

    Attributes:
        folder: of the tokens.
        encoding: their description.
        training: the training items of a seed.
        validation: the validation split.
    """

    folder: Path
    encoding: EncodingDescription
    training: Tokens
    validation: Tokens

    @classmethod
    def open(cls, folder: Path, subset: TrainSubset | None, seed: int) -> "Data":
        """Open the training items that runs with that seed learn from, or a part of them where they are too many.

        Raises:
            UserError: a file is missing or damaged, or the training split has fewer items than the subset.
        """
        encoding = EncodingDescription.load(folder / "encoding.json")
        training = Tokens.open(folder, "train")
        if subset:
            training = draw_subset(training, subset, derived_seed(seed, "train items"))
        largest = largest_training(encoding, training)
        if largest < len(training):
            part = TrainSubset(items=largest, drawn="plain")
            training = draw_subset(training, part, derived_seed(seed, "items of a baseline"))
        return cls(folder, encoding, training, Tokens.open(folder, "validation"))

    def scorer(self, split: str, tokens: Tokens) -> Scorer:
        """Return the scorer of a split, which is the one of runs."""
        return Scorer(self.encoding.target, pd.read_parquet(self.folder / f"{split}.items.parquet"), tokens.targets)

    @property
    def is_constant(self) -> bool:
        """Whether all training items have the same target, so that a constant is all that can be learned."""
        return len(np.unique(self.training.targets, axis=0)) == 1


@dataclass(frozen=True)
class Fitted:
    """A candidate that has been fitted.

    Attributes:
        data: what it was fitted on.
        features: that it reads; None for a constant.
        estimator: of scikit-learn.
        record: which candidate it is, and its validation score.
    """

    data: Data
    features: Features | None
    estimator: Any
    record: BaselineCandidate

    def answers(self, tokens: Tokens) -> np.ndarray:
        """Return the answers to items in the form of their targets."""
        rows = self.features.rows(tokens) if self.features else _no_columns(tokens)
        return _answers(self.estimator, rows, tokens)


def select_baseline(
    folders: list[Path], subset: TrainSubset | None, seed: int
) -> tuple[Fitted, list[BaselineCandidate]]:
    """Fit the candidates on each encoding of a task; return the one with the best validation score, and all records.

    Of equal scores the earlier one wins: a constant, then few features before many, and strong regularisation before weak.

    Args:
        folders: of the tokens of the task's encodings.
        subset: the part of the training split that runs learn from; None for all of it.
        seed: of the draw.

    Raises:
        UserError: a file of the tokens is missing or damaged.
    """
    best, records = None, []
    for number, folder in enumerate(folders):
        data = Data.open(folder, subset, seed)
        for fitted in _fit_all(data, with_constant=number == 0):
            records.append(fitted.record)
            if best is None or fitted.record.validation_score > best.record.validation_score:
                best = fitted
    assert best is not None
    return best, records


def _fit_all(data: Data, with_constant: bool) -> Iterator[Fitted]:
    target = data.encoding.target
    if with_constant:
        nothing = _no_columns(data.training), _no_columns(data.validation)
        yield _fit(data, None, constant(target.kind), *nothing)
    if data.is_constant:
        return
    for features in features_of(data.encoding, largest_columns(target)):
        rows, validation = features.fit(data.training), features.rows(data.validation)
        for candidate in candidates(target.kind, rows, outputs_of(target)):
            yield _fit(data, features, candidate, rows, validation)


def _fit(data: Data, features: Features | None, candidate: Candidate, rows: Matrix, validation: Matrix) -> Fitted:
    with warnings.catch_warnings():
        # The number of iterations is a limit, and a bit may be the same in all training items.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Label .* is present in all training examples")
        candidate.estimator.fit(rows, _targets(data.training))
    answers = _answers(candidate.estimator, validation, data.validation)
    record = BaselineCandidate(
        tokens=data.folder.name,
        features=features.name if features else None,
        columns=rows.shape[1],
        model=candidate.model,
        strength=candidate.strength,
        train_items=len(data.training),
        validation_score=data.scorer("validation", data.validation).score(answers),
    )
    log.info("%s on %s, strength %s: %.4f", *(record.model, record.features, record.strength, record.validation_score))
    return Fitted(data, features, candidate.estimator, record)


def _targets(tokens: Tokens) -> np.ndarray:
    """Return what scikit-learn is fitted to: [items], or bits [items, positions x bits]."""
    targets = tokens.targets
    # Not as int8: scikit-learn 1.9 would number the columns in the type of the targets, and mix them up from the 128th on.
    return targets.reshape(len(targets), -1).astype(np.int64) if targets.ndim > 1 else targets


def _answers(estimator: Any, rows: Matrix, tokens: Tokens) -> np.ndarray:
    answers: np.ndarray = estimator.predict(rows).reshape(tokens.targets.shape).astype(tokens.targets.dtype)
    return answers


def _no_columns(tokens: Tokens) -> np.ndarray:
    return np.empty((len(tokens), 0), dtype=np.float32)
