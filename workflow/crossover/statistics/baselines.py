"""Baselines: their scores with intervals, and paired comparisons of every cell with the baseline of its task."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from crossover.files import read_json
from crossover.runs.files import BASELINE_RESULTS, baseline_folder, checked_provenance
from crossover.specs.descriptions import BaselineMetrics, Provenance
from crossover.specs.studies import StudyBaseline, StudySpec
from crossover.statistics.contrasts import Difference, check_items, holm_adjusted, make_difference, outcome_of
from crossover.statistics.crossed import crossed, difference_of, mean_of
from crossover.statistics.intervals import group_means, score_interval
from crossover.statistics.records import Scores, read_scores
from crossover.statistics.scored import ScoredStudy
from crossover.statistics.tables import table_of

QUESTION = "transformer or baseline"  # what all comparisons with baselines ask, so that they are corrected together


@dataclass(frozen=True)
class BaselineResult:
    """The columns of the table of baselines.

    Attributes:
        study: its study.
        task: at its data size.
        baseline: name of the baseline's spec.
        train_items: that it was fitted on; of a large task fewer than runs learn from.
        model: that was selected; where seeds drew their training items and selected others, all of them.
        features: likewise.
        strength: likewise, the penalty of a linear model or the number of trees for each output.
        candidates: number of models that were fitted for each seed.
        validation_score: of the selected one, mean over seeds.
        linear_validation_score: the best that a linear model reached, likewise; null where none could be fitted.
        metric: of the scores.
        seeds: number of seeds; 1 where nothing was drawn.
        score: on the test split, mean over seeds and items.
        sd_seeds: standard deviation of the seeds' scores; null for one seed.
        low: lower limit of the interval.
        high: upper limit of the interval.
        interval_over: the random factors of the interval.
        interval_method: how it was computed.
        floor: score of the best constant answer.
        items: number of test items.
        groups: number of independent test items.
    """

    study: str
    task: str
    baseline: str
    train_items: int
    model: str
    features: str
    strength: str
    candidates: int
    validation_score: float
    linear_validation_score: float | None
    metric: str
    seeds: int
    score: float
    sd_seeds: float | None
    low: float
    high: float
    interval_over: str
    interval_method: str
    floor: float
    items: int
    groups: int


@dataclass(frozen=True)
class ComparedCell:
    """The columns that say which cell is compared with the baseline of its task."""

    study: str
    task: str
    checkpoint: str
    condition: str
    baseline: str
    question: str = QUESTION


COLUMNS = [*("study", "task", "checkpoint", "condition", "baseline", "question", "difference", "low", "high", "standard_error", "p", "p_holm"),
           *("outcome", "items", "groups", "seeds")]  # fmt: skip
NUMBERS = ["difference", "low", "high", "standard_error", "p", "p_holm"]


def provenance_of_baselines(spec: StudySpec) -> dict[tuple[str, int], Provenance]:
    """Return the provenance of each baseline, by task and seed, once its files have been compared with their digests.

    Raises:
        UserError: a file is missing, or is not the one that was written.
    """
    return {
        (task, seed): checked_provenance(baseline_folder(baseline.name, seed), BASELINE_RESULTS)
        for task, baseline in spec.baselines.items()
        for seed in baseline.seeds
    }


def read_baselines(spec: StudySpec) -> dict[str, Scores]:
    """Return the test scores of the baseline of each task.

    Raises:
        UserError: a file is missing or damaged.
    """
    return {
        task: read_scores(baseline.name, baseline.seeds, baseline_folder) for task, baseline in spec.baselines.items()
    }


def read_baseline_metrics(baseline: StudyBaseline) -> list[BaselineMetrics]:
    """Return what each seed of a baseline reached.

    Raises:
        UserError: a file is missing or damaged.
    """
    paths = [baseline_folder(baseline.name, seed) / "metrics.json" for seed in baseline.seeds]
    return [BaselineMetrics.parse(read_json(path), path) for path in paths]


def summarise_baselines(spec: StudySpec, study: ScoredStudy, scores: Mapping[str, Scores]) -> pd.DataFrame:
    """Return one row per task: the baseline that validation data selected, and its test score with an interval.

    Args:
        spec: the study.
        study: the scores of its cells.
        scores: of the baselines, by task.
    """
    rows = [(_result(spec, study, task, baseline, scores[task]),) for task, baseline in spec.baselines.items()]
    columns = list(BaselineResult.__dataclass_fields__)
    return table_of(rows, columns).astype({"sd_seeds": float, "linear_validation_score": float})


def _result(spec: StudySpec, study: ScoredStudy, task: str, baseline: StudyBaseline, scores: Scores) -> BaselineResult:
    metrics = read_baseline_metrics(baseline)
    selected = [one.selected for one in metrics]
    linear = [best for best in map(_best_linear, metrics) if best is not None]
    reduced = crossed(group_means(scores.values, scores.groups))
    estimate = mean_of(reduced, study.priors[study.metrics[task]])
    interval = score_interval(estimate, spec.confidence, study.lowest(task))
    return BaselineResult(
        study=spec.study,
        task=task,
        baseline=baseline.name,
        train_items=selected[0].train_items,
        model=_distinct(one.model for one in selected),
        features=_distinct(one.features for one in selected),
        strength=_distinct(None if one.strength is None else f"{one.strength:g}" for one in selected),
        candidates=len(metrics[0].candidates),
        validation_score=sum(one.validation_score for one in selected) / len(selected),
        linear_validation_score=sum(linear) / len(linear) if linear else None,
        metric=metrics[0].metric,
        seeds=reduced.seeds,
        score=estimate.value,
        sd_seeds=reduced.seed_variance**0.5,
        low=interval.low,
        high=interval.high,
        interval_over="seeds and items" if reduced.seeds > 1 else "items",
        interval_method=interval.method,
        floor=metrics[0].floor,
        items=len(scores.items),
        groups=estimate.groups,
    )


def _best_linear(metrics: BaselineMetrics) -> float | None:
    linear = [one.validation_score for one in metrics.candidates if one.model.endswith(" regression")]
    return max(linear, default=None)


def _distinct(words: Iterable[str | None]) -> str:
    return "; ".join(dict.fromkeys(word for word in words if word is not None))


def compare_with_baselines(spec: StudySpec, study: ScoredStudy, baselines: Mapping[str, Scores]) -> pd.DataFrame:
    """Compare every cell that trained with the baseline of its task on the same test items.

    A baseline that learns from the whole training split is the same for all seeds, and adds nothing to their variance.

    Args:
        spec: the study.
        study: the scores of its cells.
        baselines: their scores, by task.

    Returns:
        One row per cell: the mean difference cell - baseline, its interval, the two-sided p-value (null with one seed), that value
        after Holm's correction within the study, and the outcome.

    Raises:
        UserError: a cell and its baseline were not scored on the same items.
    """
    compared = list(_comparisons(spec, study, baselines))
    table = table_of(compared, COLUMNS).astype(dict.fromkeys(NUMBERS, float))
    table["p_holm"] = holm_adjusted(table)
    table["outcome"] = [
        outcome_of(spec, difference, p_holm) for (_, difference), p_holm in zip(compared, table["p_holm"], strict=True)
    ]
    return table


def _comparisons(
    spec: StudySpec, study: ScoredStudy, baselines: Mapping[str, Scores]
) -> Iterator[tuple[ComparedCell, Difference]]:
    for cell in spec.cells:
        own = study.cells[cell.key]
        if cell.task not in baselines or not own.did_train:
            continue
        baseline = baselines[cell.task]
        check_items(own.scores, baseline)
        reduced = crossed(group_means(baseline.values, baseline.groups))
        prior, span = study.priors[study.metrics[cell.task]], study.span(cell.task)
        estimate = difference_of(own.crossed, reduced, prior, span)
        difference = make_difference(spec, estimate, span, own.crossed.seeds, len(own.scores.items))
        yield ComparedCell(spec.study, *cell.key, baseline.run), difference
