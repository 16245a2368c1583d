"""Studies whose truth is known, for measuring how often the statistics are wrong.

A study has seven tasks and four conditions, like the demo: 28 cells, 14 comparisons of bodies and 14 of what is trained. A seed has an
accuracy of its own, from a beta distribution with the cell's mean and standard deviation, or it fails. An answer is right where a
normal variable, the sum of the item's difficulty for all conditions, of that for this one, and of chance, lies below the quantile of the
seed's accuracy; the shares of the three give the correlations that predictions of the demo have.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from crossover.config.conditions import Condition
from crossover.specs.studies import Cell, StudyCheckpoint, StudySpec, StudyTask
from crossover.statistics.contrasts import differences, outcome_of
from crossover.statistics.intervals import score_interval
from crossover.statistics.records import Scores
from crossover.statistics.scored import score_study

BODIES = "pretrained or random body"
CONDITIONS = {
    "pretrained-frozen": Condition(title="", body="pretrained", input="new", trained="frozen"),
    "random-frozen": Condition(title="", body="random", input="new", trained="frozen"),
    "pretrained-all": Condition(title="", body="pretrained", input="new", trained="all"),
    "random-all": Condition(title="", body="random", input="new", trained="all"),
}
TASKS = 7
ITEM, CONDITION_BY_ITEM, CHANCE = 0.50, 0.15, 0.35  # shares of the variance of an answer
BELOW_ALL = -1.0  # a floor at which no seed counts as failed


@dataclass(frozen=True)
class Setting:
    """What studies are like.

    Attributes:
        seeds: of each cell.
        items: of each test split.
        deviation: standard deviation of the accuracies of seeds: one, by condition [4], or by task [7, 1].
        mean: accuracy of seeds that do not fail: one, or by condition [4].
        difference: what pretrained bodies have more.
        failing: share of the seeds that fail: one, or by condition [4].
        failed_at: their accuracy.
        correlation: of the accuracies of two conditions with one seed.
    """

    seeds: int
    items: int
    deviation: float | tuple[float, ...] | tuple[tuple[float], ...] = 0.02
    mean: float | tuple[float, ...] = 0.7
    difference: float = 0.0
    failing: float | tuple[float, ...] = 0.0
    failed_at: float = 0.5
    correlation: float = 0.0

    @property
    def means(self) -> np.ndarray:
        """Accuracies of seeds that do not fail, float [tasks, conditions]."""
        means = np.broadcast_to(np.asarray(self.mean, float), (TASKS, 4)).copy()
        means[:, [0, 2]] += self.difference
        return means

    @property
    def truth(self) -> np.ndarray:
        """Expected accuracy of a seed, float [tasks, conditions]."""
        failing = np.asarray(self.failing)
        truth: np.ndarray = (1 - failing) * self.means + failing * self.failed_at
        return truth


@dataclass(frozen=True)
class ErrorRates:
    """How the statistics of simulated studies came out, each as a share.

    Attributes:
        cells: cells whose interval holds the truth.
        differences: differences of bodies whose interval does.
        shown: of these comparisons, those that are called higher or lower.
        false_family: studies with a false one among these.
        false_study: studies with a false one among all comparisons.
        equivalent: of these comparisons, those whose interval is within the margin.
        half_width: mean of the intervals of differences of bodies.
    """

    cells: float
    differences: float
    shown: float
    false_family: float
    false_study: float
    equivalent: float
    half_width: float


@dataclass(frozen=True)
class Verdicts:
    """How one study came out: `ErrorRates` of it alone."""

    cells: list[bool]
    differences: list[bool]
    shown: list[bool]
    false: list[bool]
    false_others: list[bool]
    equivalent: list[bool]
    half_widths: list[float]


def measure_error_rates(setting: Setting, studies: int, seed: int) -> ErrorRates:
    """Simulate studies, and put them through the statistics of the workflow."""
    outcomes = [_judge(setting, answers) for answers in draw_studies(setting, studies, seed)]

    def mean(name: str) -> float:
        return float(np.mean([getattr(one, name) for one in outcomes]))

    return ErrorRates(
        cells=mean("cells"),
        differences=mean("differences"),
        shown=mean("shown"),
        false_family=float(np.mean([any(one.false) for one in outcomes])),
        false_study=float(np.mean([any(one.false + one.false_others) for one in outcomes])),
        equivalent=mean("equivalent"),
        half_width=mean("half_widths"),
    )


def draw_studies(setting: Setting, studies: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the scores of studies, float [tasks, conditions, seeds, items], 1 or 0."""
    rng = np.random.Generator(np.random.PCG64(seed))
    for _ in range(studies):
        accuracy = _accuracies(setting, rng)
        shared = np.sqrt(ITEM) * rng.standard_normal((TASKS, 1, 1, setting.items), np.float32)
        own = np.sqrt(CONDITION_BY_ITEM) * rng.standard_normal((TASKS, 4, 1, setting.items), np.float32)
        chance = np.sqrt(CHANCE) * rng.standard_normal((*accuracy.shape, setting.items), np.float32)
        yield (shared + own + chance < special.ndtri(accuracy)[..., None]).astype(float)


def _accuracies(setting: Setting, rng: np.random.Generator) -> np.ndarray:
    """Draw the accuracy of each seed, float [tasks, conditions, seeds]."""
    shape = TASKS, 4, setting.seeds
    mean = np.broadcast_to(setting.means[..., None], shape)
    deviation = np.broadcast_to(np.broadcast_to(np.asarray(setting.deviation), (TASKS, 4))[..., None], shape)
    spread = np.divide(mean * (1 - mean), deviation**2, out=np.full(shape, np.inf), where=deviation > 0) - 1
    shared, own = rng.standard_normal((TASKS, 1, setting.seeds)), rng.standard_normal(shape)
    normal = np.sqrt(setting.correlation) * shared + np.sqrt(1 - setting.correlation) * own
    varies = (deviation > 0) & (mean < 1)
    accuracy = mean.copy()
    accuracy[varies] = special.betaincinv(
        mean[varies] * spread[varies], (1 - mean[varies]) * spread[varies], special.ndtr(normal[varies])
    )
    fails = rng.random(shape) < np.broadcast_to(np.asarray(setting.failing), (TASKS, 4))[..., None]
    return np.where(fails, setting.failed_at, accuracy)


def _judge(setting: Setting, values: np.ndarray) -> Verdicts:
    names, items = list(CONDITIONS), np.arange(setting.items)
    truth = {
        (f"t{task}", "c", name): setting.truth[task, place] for task in range(TASKS) for place, name in enumerate(names)
    }
    scores = {
        key: Scores(".".join(key), tuple(range(setting.seeds)), items, items, own, (False,) * setting.seeds)
        for key, own in zip(truth, values.reshape(-1, *values.shape[2:]), strict=True)
    }
    study = score_study(SPEC, scores, dict.fromkeys(map(".".join, truth), BELOW_ALL))
    intervals = {key: score_interval(study.mean(key), SPEC.confidence) for key in truth}
    verdicts = Verdicts([own.low <= truth[key] + 1e-12 and truth[key] - 1e-12 <= own.high for key, own in intervals.items()], *([] for _ in range(6)))  # fmt: skip
    compared = list(differences(SPEC, study))
    for question in {one.pair.question for one in compared}:
        asked = [one for one in compared if one.pair.question == question]
        for one, p_holm in zip(asked, _holm([one.difference.p for one in asked]), strict=True):
            found = one.difference
            true = truth[one.scope.task, "c", one.pair.a] - truth[one.scope.task, "c", one.pair.b]
            outcome = outcome_of(SPEC, found, p_holm)
            false = {"higher": true < 1e-12, "lower": true > -1e-12}.get(outcome, False)
            if question != BODIES:
                verdicts.false_others.append(false)
                continue
            verdicts.false.append(false)
            verdicts.shown.append(outcome in ("higher", "lower"))
            verdicts.differences.append(found.low - 1e-12 <= true <= found.high + 1e-12)
            verdicts.equivalent.append(max(-found.low, found.high) < SPEC.margin)
            verdicts.half_widths.append((found.high - found.low) / 2)
    return verdicts


def _holm(p: list[float]) -> np.ndarray:
    """Return p-values after Holm's correction; that of statsmodels collects garbage at each call, which takes 20 times as long."""
    order = np.argsort(p)
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1))
    return np.minimum(corrected, 1)


def _spec() -> StudySpec:
    task = StudyTask(
        title="", description="", domain="", simulated=True, licence="", citation="", metric="accuracy", subset=None, card="",
        encodings={}, of="t", train_items=None,
    )  # fmt: skip
    checkpoint = StudyCheckpoint(
        title="", description="", licence=None, folder="", has_weights=True, origin=None, fetched=None, pretraining=None, subset=None
    )  # fmt: skip
    tasks = {f"t{number}": task for number in range(TASKS)}
    cells = tuple(
        Cell(task=name, checkpoint="c", condition=condition, run=f"{name}.c.{condition}", seeds=())
        for name in tasks
        for condition in CONDITIONS
    )
    return StudySpec(
        name="study-s", study="s", title="", question="", description="", confidence=0.95, margin=0.05, threshold=0.9, tasks=tasks,
        checkpoints={"c": checkpoint}, conditions=CONDITIONS, cells=cells, left_out=(), compare=(), analyses=(), reproduce="",
    )  # fmt: skip


SPEC = _spec()
