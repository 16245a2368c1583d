"""The models of scikit-learn that are fitted to features, each at the strengths of which validation data select one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scipy import sparse
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier

from crossover.baselines.features import Matrix

PENALTIES = (100.0, 10.0, 1.0, 0.1, 0.01)  # of logistic regression, on squared weights: the inverse of scikit-learn's C
RIDGE_PENALTIES = (10_000.0, 1000.0, 100.0, 10.0, 1.0, 0.1)
TREES = (20, 100)
ITERATIONS = 50  # of logistic regression at most
MANY_OUTPUTS = 64  # with more, logistic regression would take minutes, and ridge regression fits all of them at once
BOOSTED_OUTPUTS = 16  # of gradient boosting at most: each has trees of its own
BOOSTED = 2**22  # items x columns x outputs of gradient boosting at most: some seconds


@dataclass(frozen=True)
class Candidate:
    """A model that is not fitted yet.

    Attributes:
        model: its name in tables.
        strength: the penalty of a linear model, or the number of trees for each output; None for a constant.
        estimator: of scikit-learn.
    """

    model: str
    strength: float | None
    estimator: Any


def constant(kind: str) -> Candidate:
    """Return the constant answer to a kind of target: the most frequent class or bit, or the mean."""
    number = kind == "number"
    return Candidate("constant", None, DummyRegressor() if number else DummyClassifier(strategy="most_frequent"))


def candidates(kind: str, rows: Matrix, outputs: int) -> Iterator[Candidate]:
    """Yield the models that can be fitted to training rows in seconds, those with the strongest regularisation first.

    Args:
        kind: of the target. Each bit of several has a model of its own.
        rows: of the training items.
        outputs: number of classes or bits; 1 for a number.
    """
    if kind == "number" or outputs > MANY_OUTPUTS:
        ridge = Ridge if kind == "number" else RidgeClassifier
        yield from (Candidate("ridge regression", penalty, ridge(penalty)) for penalty in RIDGE_PENALTIES)
    else:
        for penalty in PENALTIES:
            logistic = LogisticRegression(C=1 / penalty, max_iter=ITERATIONS)
            yield Candidate("logistic regression", penalty, _by_output(kind, logistic))
    if outputs <= BOOSTED_OUTPUTS and not sparse.issparse(rows) and rows.size * outputs <= BOOSTED:
        boosting = HistGradientBoostingRegressor if kind == "number" else HistGradientBoostingClassifier
        for trees in TREES:
            boosted = boosting(max_iter=trees, early_stopping=False, random_state=0)
            yield Candidate("gradient boosting", trees, _by_output(kind, boosted))


def _by_output(kind: str, estimator: Any) -> Any:
    """Return an estimator that is fitted to each bit by itself, where bits are predicted."""
    return OneVsRestClassifier(estimator) if kind == "bits" else estimator
