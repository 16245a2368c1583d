"""The learning rate of a run with one seed: of the rates that it tries, the best on validation data."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from crossover.config.recipes import CandidateRates
from crossover.training.loop import Progress, put_weights
from crossover.training.state import StateStore, TrainingState

log = logging.getLogger(__name__)
Weights = dict[str, Tensor]  # by name of the trained parameter
Train = Callable[[float, float, "TrialStore"], Progress]  # of a rate and a share of the whole length


@dataclass
class RateSearch:
    """Trains with one rate after the other, each from the same weights, and ends with the weights of the best one.

    Rates may be tried for a share of the whole length; the best one is then trained for all of it, from the same weights. A run that
    is stopped goes on with the training that it was at: what those before it have reached is saved with its state.

    Attributes:
        rates: the candidates.
        trained: the trained parameters.
        store: of the state.
        keep_last: whether the weights of the last step of the final training are kept beside those that it ended with.
        tried: what each rate that is done has reached.
        last: those weights of the last step.
    """

    rates: CandidateRates
    trained: Mapping[str, nn.Parameter]
    store: StateStore
    keep_last: bool = False
    tried: dict[float, Progress] = field(default_factory=dict)
    last: Weights = field(default_factory=dict)
    _weights: Weights = field(default_factory=dict)  # that the best rate ended with, where trials are whole
    _ending: Weights = field(default_factory=dict)  # of the last step of the newest training
    _interrupted: TrainingState | None = None
    _interrupted_at: tuple[float, float] | None = None  # rate and share

    def run(self, train: Train) -> tuple[float, Progress]:
        """Try the rates; while the best is the lowest or highest, also those of a further decade there, if there are any.

        Args:
            train: trains with a rate for a share of the whole length; what it leaves in the trained parameters is the result.

        Returns:
            The rate with the best validation score, and of equal ones that with the lowest loss, and its whole training. A rate
            that diverged before there were weights to keep is selected only over others of that kind.
        """
        self._load()
        initial = self._copy() if self._several else {}
        self._try(self.rates.rates, train, initial)
        lower, higher = iter(self.rates.lower), iter(self.rates.higher)
        while True:
            best = self._best()
            if (best == min(self.tried) and (decade := next(lower, None))) or (
                best == max(self.tried) and (decade := next(higher, None))
            ):
                self._try(decade, train, initial)
            else:
                return best, self._finish(best, train, initial)

    def at_last_step(self) -> None:
        """Note the weights of the last step of a training, before those that it keeps are put in their place."""
        if self.keep_last:
            self._ending = self._copy()

    def _try(self, rates: tuple[float, ...], train: Train, initial: Weights) -> None:
        for rate in rates:
            if rate in self.tried:
                continue
            if self._several:
                log.info("learning rate %g", rate)
            put_weights(self.trained, initial)
            self.tried[rate] = train(rate, self.rates.share, TrialStore(self, rate, self.rates.share))
            if self.rates.share == 1 and self._best() == rate:
                self._weights, self.last = self._copy() if self._several else {}, self._ending

    def _finish(self, best: float, train: Train, initial: Weights) -> Progress:
        if self.rates.share == 1:
            put_weights(self.trained, self._weights)
            return self.tried[best]
        log.info("learning rate %g for the whole length", best)
        put_weights(self.trained, initial)
        progress = train(best, 1.0, TrialStore(self, best, 1.0))
        self.last = self._ending
        return progress

    @property
    def _several(self) -> bool:
        return len(self.rates.rates) > 1

    def _best(self) -> float:
        # In ascending order, as if a range had been as wide from the start: of equal ones the first is taken.
        return max(sorted(self.tried), key=lambda rate: _rank(self.tried[rate]))

    def _copy(self) -> Weights:
        return {name: parameter.detach().clone() for name, parameter in self.trained.items()}

    def _load(self) -> None:
        state = self.store.load()
        if state is not None:
            self.tried = {rate: Progress(**progress) for rate, progress in state["tried"].items()}
            self._weights, self.last = state["weights"], state["last"]
            self._interrupted_at, self._interrupted = (state["rate"], state["share"]), state["training"]


@dataclass(frozen=True)
class TrialStore:
    """Where one training saves its state: with what those before it have reached.

    Attributes:
        search: the whole.
        rate: the learning rate.
        share: of the whole length.
    """

    search: RateSearch
    rate: float
    share: float

    @property
    def folder(self) -> Path:
        """Where the state lies."""
        return self.search.store.folder

    def due(self) -> bool:
        """Return whether it is time to save."""
        return self.search.store.due()

    def save(self, state: TrainingState) -> None:
        """Save; see `StateStore.save`."""
        tried = {rate: vars(progress) for rate, progress in self.search.tried.items()}
        kept = {"weights": self.search._weights, "last": self.search.last}
        self.search.store.save({"tried": tried, **kept, "rate": self.rate, "share": self.share, "training": state})

    def load(self) -> TrainingState | None:
        """Return the state that this training was interrupted in, or None."""
        return self.search._interrupted if (self.rate, self.share) == self.search._interrupted_at else None

    def report(self, step: int, max_steps: int, speed: float) -> None:
        """Leave a note of the progress through all trainings that are sure to be needed; see `StateStore.report`."""
        rates, whole = self.search.rates, max_steps / self.share
        done, planned = (
            len(self.search.tried),
            max(len(rates.rates), len(self.search.tried) + (self.share == rates.share)),
        )
        before, total = done * rates.share * whole, planned * rates.share * whole + (whole if rates.share < 1 else 0)
        self.search.store.report(round(before) + step, round(total), speed)


def _rank(progress: Progress) -> tuple[bool, float, float]:
    return bool(progress.best_step), progress.best_score, -progress.best_loss
