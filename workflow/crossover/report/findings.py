"""The findings in words. They follow from the tables alone, and say the same whichever way the tables point.

A difference is *shown* when Holm's corrected p-value is below 1 - confidence. It is *suggested* when its own interval
excludes zero but the correction for the number of comparisons leaves it undecided. Otherwise nothing could be shown,
which is not the same as no difference: the interval says how large a difference the data still allow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

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
from crossover.report import numbers
from crossover.report.facts import tasks_with_sizes
from crossover.specs.descriptions import Card
from crossover.specs.studies import StudySpec
from crossover.statistics.pairs import AGAINST_RANDOM, comparable_pairs
from crossover.statistics.partial import Part
from crossover.statistics.tables import StudyTables

CEILING = 0.99  # scores above leave no room for a difference
Verdict = Literal["higher", "lower", "maybe-higher", "maybe-lower", "undecided"]


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
        tasks: number of tasks.
        higher: tasks on which a is shown to be higher.
        lower: tasks on which a is shown to be lower.
    """

    kind: str
    question: str
    sentence: str
    groups: list[tuple[str, list[TaskDifference]]]
    tasks: int
    higher: list[str]
    lower: list[str]


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


def verdicts_of(contrasts: pd.DataFrame, confidence: float) -> list[Verdict]:
    """Return how each comparison came out: `higher` or `lower` (shown), `maybe-...` (suggested), or `undecided`."""
    return [
        _verdict(row.difference, row.p_holm < 1 - confidence, row.low > 0 or row.high < 0)
        for row in contrasts.itertuples()
    ]


def _verdict(difference: float, shown: bool, suggested: bool) -> Verdict:
    if shown:
        return "higher" if difference > 0 else "lower"
    if suggested:
        return "maybe-higher" if difference > 0 else "maybe-lower"
    return "undecided"


def describe_comparisons(spec: StudySpec, contrasts: pd.DataFrame) -> list[Comparison]:
    """Return all comparisons of a study in words, bodies first."""
    tables = contrasts.groupby(["kind", "question", *Sides._fields], sort=False)
    return [_describe(spec, kind, question, Sides(*names), table) for (kind, question, *names), table in tables]


def _describe(spec: StudySpec, kind: str, question: str, sides: Sides, table: pd.DataFrame) -> Comparison:
    outcomes: dict[Verdict, list[TaskDifference]] = {}
    for row, verdict in zip(table.itertuples(), verdicts_of(table, spec.confidence), strict=True):
        size = f"{numbers.points(row.difference)} ({numbers.points_interval(row.low, row.high)})"
        outcomes.setdefault(verdict, []).append(TaskDifference(row.task, size))
    words = _wording(spec, kind, question, sides)
    first = f"{words.a[0].upper()}{words.a[1:]}"
    headings: dict[Verdict, str] = {
        "higher": f"{first} scored higher",
        "lower": f"{first} scored lower",
        "maybe-higher": "Higher by its own interval, but not after the correction for the number of comparisons",
        "maybe-lower": "Lower by its own interval, but not after the correction for the number of comparisons",
        "undecided": "No difference could be shown",
    }
    return Comparison(
        kind=kind,
        question=question,
        sentence=_sentence(words, outcomes, _counted(spec, len(table)), len(table)),
        groups=[(heading, outcomes[verdict]) for verdict, heading in headings.items() if verdict in outcomes],
        tasks=len(table),
        higher=[difference.task for difference in outcomes.get("higher", [])],
        lower=[difference.task for difference in outcomes.get("lower", [])],
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


def _sentence(words: Wording, outcomes: Mapping[Verdict, list[TaskDifference]], counted: str, tasks: int) -> str:
    higher, lower = len(outcomes.get("higher", [])), len(outcomes.get("lower", []))
    undecided = len(outcomes.get("undecided", []))
    suggested = tasks - higher - lower - undecided
    if not higher and not lower:
        text = f"{words.setting}, no difference between {words.a} and {words.b} could be shown on {_none_of(tasks, counted)}"
        return f"{text}; on {suggested} one is suggested." if suggested else f"{text}."
    shown = " and ".join(f"{word} on {number}" for word, number in (("higher", higher), ("lower", lower)) if number)
    text = f"{words.setting}, {words.a} scored {shown} of {counted} than {words.b}"
    if suggested:
        text += f"; on {suggested} a difference is suggested"
    return text + (f"; on {undecided} no difference could be shown." if undecided else ".")


def headline(spec: StudySpec, comparisons: list[Comparison]) -> str:
    """Return the answer in one sentence: on how many tasks pretraining helped or hurt.

    Args:
        spec: the whole study.
        comparisons: those that could be made.
    """
    bodies = [comparison for comparison in comparisons if comparison.question == AGAINST_RANDOM]
    if not bodies and any(pair.question == AGAINST_RANDOM for pair in comparable_pairs(spec.conditions)):
        return "No pretrained body can be compared with a random one yet."
    if not bodies:
        return "This study does not compare a pretrained body with a random one."
    number = max(comparison.tasks for comparison in bodies)
    tasks = _counted(spec, number)
    helped = {task for comparison in bodies for task in comparison.higher}
    hurt = {task for comparison in bodies for task in comparison.lower}
    where = ", in at least one of the ways of training" if len(bodies) > 1 else ""
    if helped and hurt:
        return f"Pretraining helped on {len(helped)} of {tasks} and hurt on {len(hurt)}{where}."
    if helped:
        return f"Pretraining helped on {len(helped)} of {tasks}{where}; harm was shown on none."
    if hurt:
        return f"Pretraining hurt on {len(hurt)} of {tasks}{where}; a benefit was shown on none."
    return f"No effect of pretraining could be shown on {_none_of(number, tasks)}."


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
        *_caveats_of_seeds(int(cells["seeds"].min()), int(cells["seeds"].max())),
        *_caveats_of_tasks(part.spec, cells, cards),
        *_caveats_of_training(part.whole, tables),
        *_left_out(part.whole),
        f"The largest model here has {numbers.count(parameters)} parameters. What a larger one would do is not tested.",
    ]


def _caveats_of_seeds(fewest: int, most: int) -> list[str]:
    if fewest == 1:
        who = "There is one seed" if most == 1 else "Some conditions have one seed"
        return [
            f"{who}: intervals and p-values are over test items alone, and another seed may well give another result."
        ]
    if fewest < 5:
        number = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        return [
            f"There are {number} seeds. Differences that vary from seed to seed must be large to be shown with so few."
        ]
    return []


def _caveats_of_tasks(spec: StudySpec, cells: pd.DataFrame, cards: Mapping[str, Card]) -> list[str]:
    labels, whole = task_labels(spec.tasks), tasks_with_sizes(spec)
    by_task = cells.groupby("task", sort=False)
    sentences = [
        (
            [task for task, table in by_task if not table["above_floor"].any()],
            "No condition is above the floor on {}: nothing was learned there, so nothing can be compared.",
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
