"""The findings in words. They follow from the tables alone, and say the same whichever way the tables point.

Each comparison has an outcome: a difference is shown one way or the other, or shown to be smaller than the study's margin, or neither.
Undecided is not the same as no difference: the interval says how large a difference the data still allow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from crossover.charts.palette import checkpoint_labels, make_series, task_labels
from crossover.config.bodies import (
    Body,
    MimeticBody,
    PermutedBody,
    RandomBody,
    ReinitBody,
    ScaledBody,
    StatisticsBody,
    TruncatedBody,
)
from crossover.config.inputs import Input
from crossover.labels import body_name, input_name, trained_name
from crossover.metrics import METRICS
from crossover.report import numbers
from crossover.report.facts import tasks_with_sizes
from crossover.specs.descriptions import Card
from crossover.specs.studies import StudySpec
from crossover.statistics.pairs import AGAINST_RANDOM, Outcome, comparable_pairs
from crossover.statistics.partial import Part
from crossover.statistics.tables import StudyTables

CEILING = 0.99  # scores above leave no room for a difference
FEW_SEEDS = 5  # with fewer, the report says how large a difference must be to be shown


@dataclass(frozen=True)
class TaskDifference:
    """The difference of two conditions on one task.

    Attributes:
        task: its name.
        size: the difference with its interval, in words.
    """

    task: str
    size: str


@dataclass(frozen=True)
class Comparison:
    """One comparison of two conditions over all tasks.

    Attributes:
        kind: `body`, `input`, `trained`, or `asked` by the study.
        question: what it asks.
        sentence: how it came out, in one sentence with counts.
        groups: a heading and its differences for each way it came out, without the empty ones.
        short: how it came out, in the few words of a headline.
        of_all: whether everything is trained.
        is_tested: whether it is tested on any task: with one seed it is not.
    """

    kind: str
    question: str
    sentence: str
    short: str
    groups: list[tuple[str, list[TaskDifference]]]
    of_all: bool
    is_tested: bool


class Sides(NamedTuple):
    """What is compared, as the columns of the table of contrasts name it: `a` with `checkpoint` against `b` with `other_checkpoint`."""

    checkpoint: str
    a: str
    other_checkpoint: str
    b: str


class Wording(NamedTuple):
    """Words for the first condition of a comparison, for the second, and for what both share."""

    a: str
    b: str
    setting: str


def describe_comparisons(spec: StudySpec, contrasts: pd.DataFrame, pooled: pd.DataFrame) -> list[Comparison]:
    """Return all comparisons of a study in words: bodies first, and of these the ones in which everything is trained.

    Args:
        spec: the study.
        contrasts: its comparisons on each task.
        pooled: the same over tasks.
    """
    tables = contrasts.groupby(["kind", "question", *Sides._fields], sort=False)
    found = [
        _describe(spec, kind, question, Sides(*names), table, _pooled_of(pooled, question, Sides(*names)))
        for (kind, question, *names), table in tables
    ]
    return sorted(found, key=lambda one: (one.kind != "body", one.kind == "body" and not one.of_all))


def _pooled_of(pooled: pd.DataFrame, question: str, sides: Sides) -> pd.DataFrame:
    own = pooled["question"] == question
    for name, side in sides._asdict().items():
        own &= pooled[name] == side
    return pooled[own]


def _describe(
    spec: StudySpec, kind: str, question: str, sides: Sides, table: pd.DataFrame, pooled: pd.DataFrame
) -> Comparison:
    outcomes: dict[Outcome, list[TaskDifference]] = {}
    for row in table.itertuples():
        size = f"{numbers.points(row.difference)} ({numbers.points_interval(row.low, row.high)})"
        outcomes.setdefault(row.outcome, []).append(TaskDifference(row.task, size))
    words = _wording(spec, kind, question, sides)
    margin = numbers.size(spec.margin)
    first = f"{words.a[0].upper()}{words.a[1:]}"
    headings: dict[Outcome, str] = {
        "higher": f"{first} scored higher",
        "lower": f"{first} scored lower",
        "equivalent": f"Equivalent: no difference of {margin} either way",
        "undecided": "Undecided",
        "one seed": "One seed, not tested",
    }
    counted = _counted(spec, len(table))
    over_tasks = [_pooled_in_words(spec, row, len(pooled) > 1) for row in pooled.itertuples()]
    return Comparison(
        kind=kind,
        question=question,
        sentence=" ".join([_sentence(words, outcomes, counted, margin), *over_tasks]),
        short=f"{words.setting}: {_short(outcomes, counted, pooled)}",
        groups=[(heading, outcomes[outcome]) for outcome, heading in headings.items() if outcome in outcomes],
        of_all="all" in spec.conditions[sides.a].trained,
        is_tested=set(outcomes) != {"one seed"},
    )


def _pooled_in_words(spec: StudySpec, row: Any, is_one_of_several: bool) -> str:
    """Return the mean difference over tasks in a sentence, with the interval for a new task."""
    items = "" if pd.isna(row.train_items) else f" with {row.train_items:,} training items"
    metric = f" ({METRICS[row.metric].label})" if is_one_of_several else ""
    return (
        f"Over {numbers.plural(row.tasks, 'task')}{items}{metric}, the mean difference is {numbers.points(row.difference)} "
        f"({numbers.points_interval(row.low, row.high)}); on another task like these it may be "
        f"{numbers.points_interval(row.new_task_low, row.new_task_high)} (I\N{SUPERSCRIPT TWO} {100 * row.i2:.0f}{numbers.SPACE}%)."
    )


def comparison_title(spec: StudySpec, kind: str, question: str, sides: Sides) -> str:
    """Return what is compared, for a heading or a chart's title."""
    words = _wording(spec, kind, question, sides)
    return f"{words.setting}: {words.a} against {words.b}"


def _wording(spec: StudySpec, kind: str, question: str, sides: Sides) -> Wording:
    if kind == "asked":
        series = make_series(spec)
        a, b = series[sides.checkpoint, sides.a], series[sides.other_checkpoint, sides.b]
        return Wording(f"‘{a.label}’", f"‘{b.label}’", f"For ‘{question}’")
    condition, other = spec.conditions[sides.a], spec.conditions[sides.b]
    body, trained = condition.body, condition.trained
    only = ("" if "all" in trained else "only ") + trained_name(trained).replace("+", ", ")
    inside = f"the {body} body" if isinstance(body, str) else f"the body ‘{body_name(body)}’"
    setting = {"all": "Trained in full", "frozen": "Frozen"}.get(trained_name(trained), f"With {only} trained")
    place = f"{checkpoint_labels(spec)[sides.checkpoint]}: " if len(spec.checkpoints) > 1 else ""
    if kind == "input":
        within = "" if body == "pretrained" else f" and with {inside}"
        return Wording("the pretrained embeddings", _other_input(other.input), f"{place}{setting}{within}")
    inputs = {input_name(one.input) for one in spec.conditions.values()}
    place += f"{input_name(condition.input)} input: " if len(inputs) > 1 else ""
    if kind == "body":
        if isinstance(body, TruncatedBody):
            short = f"a pretrained body of {numbers.plural(body.blocks, 'block')}"
            return Wording(short, "a random one", place + setting)
        return Wording("the pretrained body", _other_body(other.body), place + setting)
    way = "freezing it" if trained == "frozen" else f"training {only}"
    return Wording(way, "training everything", f"{place}With {inside}")


def _other_body(body: Body) -> str:
    """Return words for the body that a pretrained one is compared with."""
    match body:
        case str():
            return f"a {body} one"
        case RandomBody(kept=kept):
            return f"one that is random but for its {' and '.join(kept)}"
        case StatisticsBody():
            return "a random one with its statistics"
        case ScaledBody(per=per, groups=groups):
            return f"a random one at its scale per {per}" + (f" of {' and '.join(groups)}" if groups else "")
        case MimeticBody():
            return "a random one with mimetic attention weights"
        case ReinitBody():
            return f"one that is drawn anew in part ({body_name(body)})"
        case PermutedBody(seed=seed):
            return f"one with its blocks in another order (seed {seed})"
        case TruncatedBody(blocks=blocks):
            return f"one that ends after {numbers.plural(blocks, 'block')}"


def _other_input(entry: Input) -> str:
    """Return words for the input that pretrained embeddings are compared with."""
    words = {"new": "a new input layer", "re-embedded": "random ones of their size"}
    return words[entry] if isinstance(entry, str) else f"those of other tokens ({input_name(entry)})"


def _counted(spec: StudySpec, number: int) -> str:
    """Return a number of tasks in words; a task at two data sizes is counted twice, and not called two tasks."""
    if any(task.train_items for task in spec.tasks.values()):
        return numbers.plural(number, "combination of task and data size", "combinations of task and data size")
    return numbers.plural(number, "task")


def _sentence(words: Wording, outcomes: Mapping[Outcome, list[TaskDifference]], counted: str, margin: str) -> str:
    number = {outcome: len(found) for outcome, found in outcomes.items()}
    tasks, undecided = sum(number.values()), number.get("undecided", 0)
    shown = [f"{word} on {number[word]}" for word in ("higher", "lower") if word in number]
    if number.get("one seed") == tasks:
        return f"{words.setting}, {words.a} and {words.b} are not tested against each other on {counted}, since there is one seed."
    if shown:
        text = f"{words.setting}, {words.a} scored {' and '.join(shown)} of {counted} than {words.b}"
    else:
        where = _none_of(tasks, counted)
        text = f"{words.setting}, no difference between {words.a} and {words.b} could be shown on {where}"
    if "equivalent" in number:
        text += f"; equivalent within {margin} on {number['equivalent']}"
    if undecided and (shown or "equivalent" in number):
        text += f"; undecided on {undecided}"
    return text + (f"; with one seed, not tested, on {number['one seed']}." if "one seed" in number else ".")


def _short(outcomes: Mapping[Outcome, list[TaskDifference]], counted: str, pooled: pd.DataFrame) -> str:
    """Return how a comparison came out in the few words of a headline."""
    higher, lower = len(outcomes.get("higher", [])), len(outcomes.get("lower", []))
    text = f"higher on {higher} of {counted}, lower on {lower}"
    if len(pooled) != 1:
        return text
    row = next(pooled.itertuples())
    return f"{text}, on average {numbers.points(row.difference)} ({numbers.points_interval(row.low, row.high)})"


def headline(spec: StudySpec, comparisons: list[Comparison]) -> str:
    """Return the answer in a sentence: how the pretrained body scored against a random one, in each way of training.

    Args:
        spec: the whole study.
        comparisons: those that could be made.
    """
    bodies = [comparison for comparison in comparisons if comparison.question == AGAINST_RANDOM]
    if not bodies and any(pair.question == AGAINST_RANDOM for pair in comparable_pairs(spec.conditions)):
        return "No pretrained body can be compared with a random one yet."
    if not bodies:
        return "This study does not compare a pretrained body with a random one."
    tested = [comparison.short for comparison in bodies if comparison.is_tested]
    if not tested:
        return "There is one seed, so that no effect of pretraining can be tested."
    return f"A pretrained body against a random one. {'. '.join(tested)}."


def _none_of(number: int, counted: str) -> str:
    return "the one task" if number == 1 else f"any of {counted}"


def caveats(part: Part, tables: StudyTables, cards: Mapping[str, Card]) -> list[str]:
    """Return what a reader must know before believing the answer, each in a sentence.

    Args:
        part: the study, as far as it is there.
        tables: its tables.
        cards: of the tasks, by name.
    """
    cells = tables.cells
    parameters = int(cells["parameters_total"].max())
    return [
        *_caveats_of_seeds(cells, tables.contrasts),
        *_caveats_of_failures(part.spec, cells),
        *_caveats_of_tasks(part.spec, cells, cards),
        *_caveats_of_training(part.whole, tables),
        *_left_out(part.whole),
        f"The largest model here has {numbers.count(parameters)} parameters. What a larger one would do is not tested.",
    ]


def _caveats_of_seeds(cells: pd.DataFrame, contrasts: pd.DataFrame) -> list[str]:
    fewest, most = int(cells["seeds"].min()), int(cells["seeds"].max())
    sentences = []
    if fewest == 1:
        who = "There is one seed" if most == 1 else "Some conditions have one seed"
        sentences.append(
            f"{who}: intervals are over test items alone, and another seed may well give another result; nothing is tested."
        )
    sizes = contrasts["detectable"].dropna()
    if fewest < FEW_SEEDS and len(sizes):
        seeds = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        least, largest = numbers.size(sizes.min()), numbers.size(sizes.max())
        sentences.append(
            f"With {seeds} seeds, the smallest true difference that a comparison here would probably have shown is {least}, "
            f"and {largest} where seeds vary most (crossover plan-seeds says how many would show less)."
        )
    return sentences


def _caveats_of_failures(spec: StudySpec, cells: pd.DataFrame) -> list[str]:
    """Return sentences about cells that did not train, which are not compared, and about single seeds that failed."""
    labels, series = task_labels(spec.tasks), make_series(spec)
    absent: list[str] = []
    partly: list[str] = []
    for row in cells.itertuples():
        if failed := failures_in_words(row.seeds_constant, row.seeds_at_floor, row.seeds):
            where = partly if row.did_train else absent
            where.append(f"‘{series[row.checkpoint, row.condition].label}’ on {labels[row.task]} ({failed})")
    sentences = []
    if absent:
        sentences.append(f"Did not train, and so are neither counted nor compared: {'; '.join(absent)}.")
    if partly:
        sentences.append(f"Seeds failed, which makes intervals wide: {'; '.join(partly)}.")
    return sentences


def failures_in_words(constant: int, at_floor: int, seeds: int) -> str:
    """Return how many seeds of a cell failed and how; empty if none did."""
    kinds = ((constant, "with one constant answer"), (at_floor, "at the floor"))
    return ", ".join(f"{number} of {seeds} {how}" for number, how in kinds if number)


def _caveats_of_tasks(spec: StudySpec, cells: pd.DataFrame, cards: Mapping[str, Card]) -> list[str]:
    labels, whole = task_labels(spec.tasks), tasks_with_sizes(spec)
    by_task = cells.groupby("task", sort=False)
    sentences = [
        (
            [task for task, table in by_task if not table["above_floor"].any()],
            "No condition is shown to be above the floor on {}: nothing was learned there.",
        ),
        (
            [task for task, table in by_task if (table["score"] > CEILING).all()],
            f"Every condition is above {numbers.percent(CEILING)} on {{}}, which leaves no room for a difference.",
        ),
        (
            [name for name in whole if spec.tasks[name].simulated],
            "Simulated, not measured in nature: {}. A result there is about the simulation.",
        ),
        (
            [name for name in whole if spec.tasks[name].subset],
            "Computed on a part of the data (see the task cards): {}. Numbers there are not those of the whole data.",
        ),
        (
            [name for name in whole if cards[name].leakage.get("test")],
            "Some test items also occur in training or validation: {} (see the task cards).",
        ),
    ]
    # replace, not format: a title may hold braces
    return [
        text.replace("{}", ", ".join(labels[task].removesuffix(" (simulated)") for task in tasks))
        for tasks, text in sentences
        if tasks
    ]


def _left_out(spec: StudySpec) -> list[str]:
    """Return a sentence for each condition that is left out, with the tasks where it is and the reason."""
    tasks: dict[tuple[str, str], list[str]] = {}
    for one in spec.left_out:
        own = tasks.setdefault((spec.conditions[one.condition].title, one.reason), [])
        own += [spec.tasks[name].title for name in spec.tasks if spec.tasks[name].of == one.task]
    return [
        f"Left out, since {reason}: the condition ‘{title}’ on {', '.join(dict.fromkeys(names))}."
        for (title, reason), names in tasks.items()
    ]


def _caveats_of_training(spec: StudySpec, tables: StudyTables) -> list[str]:
    sentences = []
    edges = _at_an_edge(spec, tables.rates)
    for number, after in ((edges.count(False), ""), (edges.count(True), ", after its range was widened to its limit")):
        if number:
            sentences.append(
                f"For {number} of {len(tables.runs)} runs the selected learning rate is the smallest or largest that was tried{after}; "
                "a better one may lie outside."
            )
    runs = tables.runs
    unfinished = int((~runs["stopped_early"] & (runs["best_step"] == runs["steps"])).sum())
    if unfinished:
        sentences.append(
            f"{unfinished} of {len(runs)} runs were at their best at the very last step; longer training may change the result."
        )
    return sentences


def agreement_on_rates(cells: pd.DataFrame) -> str:
    """Say in how many cells the seeds selected different rates."""
    several = cells[cells["seeds"] > 1]
    differing = int((several["seeds_with_rate"] < several["seeds"]).sum())
    return (
        f"In {differing} of {len(several)} scores of several seeds, they did not all select the same rate."
        if len(several)
        else ""
    )


def _at_an_edge(spec: StudySpec, rates: pd.DataFrame) -> list[bool]:
    """Return, for each run whose rate is the lowest or highest of several, whether its range was to widen before."""
    widens = {cell.key: cell.widens for cell in spec.cells}
    found = []
    for (*cell, _), tried in rates.groupby(["task", "checkpoint", "condition", "seed"]):
        selected = tried.loc[tried["selected"], "learning_rate"].item()
        if len(tried) > 1 and selected in (tried["learning_rate"].min(), tried["learning_rate"].max()):
            found.append(widens[tuple(cell)])
    return found
