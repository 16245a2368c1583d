"""The answer in words. It follows from the tables alone, and says the same whichever way they point.

A difference is *shown* when Holm's corrected p-value is below 1 - confidence. It is *suggested* when its own interval
excludes zero but the correction for the number of comparisons leaves it undecided. Otherwise nothing could be shown,
which is not the same as no difference: the interval says how large a difference the data still allow.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from crossover.config.labels import Choice, body_name, input_name, trained_name
from crossover.report import numbers
from crossover.report.palette import task_labels, unique_labels
from crossover.statistics.contrasts import AGAINST_RANDOM, pairs
from crossover.statistics.partial import Part

CEILING = 0.99  # scores above leave no room for a difference


@dataclass(frozen=True)
class Finding:
    """One comparison on one task.

    Attributes:
        task: its name.
        size: the difference with its interval, in words.
        p: p-value after Holm's correction, in words.
    """

    task: str
    size: str
    p: str


@dataclass(frozen=True)
class Comparison:
    """One comparison of two conditions over all tasks.

    Attributes:
        kind: `body`, `input` or `trained`.
        question: what it asks.
        title: what is compared, in a few words.
        sentence: how it came out, in one sentence with counts.
        groups: a heading and its findings for each way it came out, without the empty ones.
        tasks: number of tasks.
        higher: tasks on which a is shown to be higher.
        lower: tasks on which a is shown to be lower.
    """

    kind: str
    question: str
    title: str
    sentence: str
    groups: list[tuple[str, list[Finding]]]
    tasks: int
    higher: list[str]
    lower: list[str]


def verdict(row: Any, confidence: float) -> str:
    """`higher`, `lower` (shown), `maybe-higher`, `maybe-lower` (suggested), or `undecided`."""
    direction = "higher" if row.difference > 0 else "lower"
    if row.p_holm < 1 - confidence:
        return direction
    return f"maybe-{direction}" if row.low > 0 or row.high < 0 else "undecided"


def compare(spec: dict[str, Any], contrasts: pd.DataFrame) -> list[Comparison]:
    """All comparisons, bodies first."""
    order = contrasts.groupby(["kind", "question", "checkpoint", "a", "b"], sort=False)
    return [
        _compare(spec, kind, question, checkpoint, a, b, table) for (kind, question, checkpoint, a, b), table in order
    ]


def _compare(
    spec: dict[str, Any], kind: str, question: str, checkpoint: str, a: str, b: str, table: pd.DataFrame
) -> Comparison:
    outcomes: dict[str, list[Finding]] = {}
    for row in table.itertuples():
        size = f"{numbers.points(row.difference)} ({numbers.points_interval(row.low, row.high)})"
        finding = Finding(row.task, size, numbers.p_value(row.p_holm))
        outcomes.setdefault(verdict(row, spec["confidence"]), []).append(finding)
    left, right, setting = _wording(spec, kind, checkpoint, a, b)
    headings = {
        "higher": f"{left[0].upper()}{left[1:]} scored higher",
        "lower": f"{left[0].upper()}{left[1:]} scored lower",
        "maybe-higher": "Higher by its own interval, but not after the correction for the number of comparisons",
        "maybe-lower": "Lower by its own interval, but not after the correction for the number of comparisons",
        "undecided": "No difference could be shown",
    }
    return Comparison(
        kind=kind,
        question=question,
        title=title_of(spec, kind, checkpoint, a, b),
        sentence=_sentence(setting, left, right, outcomes, len(table)),
        groups=[(heading, outcomes[name]) for name, heading in headings.items() if name in outcomes],
        tasks=len(table),
        higher=[finding.task for finding in outcomes.get("higher", [])],
        lower=[finding.task for finding in outcomes.get("lower", [])],
    )


def title_of(spec: dict[str, Any], kind: str, checkpoint: str, a: str, b: str) -> str:
    """What is compared, for a heading or a chart's title."""
    left, right, setting = _wording(spec, kind, checkpoint, a, b)
    return f"{setting}: {left} against {right}"


def _wording(spec: dict[str, Any], kind: str, checkpoint: str, a: str, b: str) -> tuple[str, str, str]:
    """Words for a, for b, and for what both share."""
    body, entry, trained = (spec["conditions"][a][choice] for choice in ("body", "input", "trained"))
    other = spec["conditions"][b]
    only = ("" if "all" in trained else "only ") + trained_name(trained).replace("+", ", ")
    inside = f"the {body} body" if isinstance(body, str) else f"the body ‘{body_name(body)}’"
    setting = {"all": "Trained in full", "frozen": "Frozen"}.get(str(trained), f"With {only} trained")
    place = f"{unique_labels(spec['checkpoints'])[checkpoint]}: " if len(spec["checkpoints"]) > 1 else ""
    if kind == "input":
        within = "" if body == "pretrained" else f" and with {inside}"
        return "the pretrained token embeddings", _other_input(other["input"]), f"{place}{setting}{within}"
    entries = {input_name(one["input"]) for one in spec["conditions"].values()}
    place += f"{input_name(entry)} input: " if len(entries) > 1 else ""
    if kind == "body":
        if body != "pretrained":
            return f"a pretrained body of {numbers.plural(body['blocks'], 'block')}", "a random one", place + setting
        return "the pretrained body", _other_body(other["body"]), place + setting
    way = "freezing it" if trained == "frozen" else f"training {only}"
    return way, "training everything", f"{place}With {inside}"


def _other_body(body: Choice) -> str:
    """Words for what a pretrained body is compared with."""
    if isinstance(body, str):
        return f"a {body} one"
    match body["kind"]:
        case "random":
            return f"one that is random but for its {' and '.join(body['kept'])}"
        case "statistics":
            return "a random one with its statistics"
        case "reinit":
            return f"one that is drawn anew in part ({body_name(body)})"
        case "permuted":
            return f"one with its blocks in another order (seed {body['seed']})"
    return f"one that ends after {numbers.plural(body['blocks'], 'block')}"


def _other_input(entry: Choice) -> str:
    """Words for what pretrained token embeddings are compared with."""
    words = {"new": "a new input layer", "re-embedded": "random ones of their size"}
    return words[entry] if isinstance(entry, str) else f"those of other tokens ({input_name(entry)})"


def _sentence(setting: str, left: str, right: str, outcomes: dict[str, list[Finding]], tasks: int) -> str:
    higher, lower, undecided = (len(outcomes.get(name, [])) for name in ("higher", "lower", "undecided"))
    suggested = tasks - higher - lower - undecided
    of = f"of {numbers.plural(tasks, 'task')}"
    if not higher and not lower:
        text = f"{setting}, no difference between {left} and {right} could be shown on {_none_of(tasks)}"
        return f"{text}; on {suggested} one is suggested." if suggested else f"{text}."
    shown = " and ".join(f"{word} on {number}" for word, number in (("higher", higher), ("lower", lower)) if number)
    text = f"{setting}, {left} scored {shown} {of} than {right}"
    if suggested:
        text += f"; on {suggested} a difference is suggested"
    return text + (f"; on {undecided} no difference could be shown." if undecided else ".")


def headline(spec: dict[str, Any], comparisons: list[Comparison]) -> str:
    """The answer in one sentence: on how many tasks pretraining helped or hurt.

    Args:
        spec: of the whole study.
        comparisons: those that could be made.
    """
    bodies = [comparison for comparison in comparisons if comparison.question == AGAINST_RANDOM]
    if not bodies and any(pair.question == AGAINST_RANDOM for pair in pairs(spec["conditions"])):
        return "No pretrained body can be compared with a random one yet."
    if not bodies:
        return "This study does not compare a pretrained body with a random one."
    number = max(comparison.tasks for comparison in bodies)
    tasks = numbers.plural(number, "task")
    helped = {task for comparison in bodies for task in comparison.higher}
    hurt = {task for comparison in bodies for task in comparison.lower}
    where = ", in at least one of the ways of training" if len(bodies) > 1 else ""
    if helped and hurt:
        return f"Pretraining helped on {len(helped)} of {tasks} and hurt on {len(hurt)}{where}."
    if helped:
        return f"Pretraining helped on {len(helped)} of {tasks}{where}; harm was shown on none."
    if hurt:
        return f"Pretraining hurt on {len(hurt)} of {tasks}{where}; a benefit was shown on none."
    return f"No effect of pretraining could be shown on {_none_of(number)}."


def _none_of(tasks: int) -> str:
    return "the one task" if tasks == 1 else f"any of {tasks} tasks"


def caveats(part: Part, tables: dict[str, pd.DataFrame], cards: dict[str, Any]) -> list[str]:
    """What a reader must know before believing the answer, each in a sentence.

    Args:
        part: the study, as far as it is there.
        tables: `runs` and `cells`.
        cards: of the tasks, by name.
    """
    cells, runs = tables["cells"], tables["runs"]
    parameters = int(cells["parameters_total"].max())
    found = _caveats_of_seeds(int(cells["seeds"].min()), int(cells["seeds"].max()))
    found += _caveats_of_tasks(part.spec, cells, cards) + _caveats_of_training(part.whole, runs, cells)
    found.append(
        f"The largest model here has {numbers.count(parameters)} parameters. What a larger one would do is not tested."
    )
    return found


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


def _caveats_of_tasks(spec: dict[str, Any], cells: pd.DataFrame, cards: dict[str, Any]) -> list[str]:
    labels = task_labels(spec)
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
            [name for name, task in spec["tasks"].items() if task["simulated"]],
            "Simulated, not measured in nature: {}. A result there is about the simulation.",
        ),
        (
            [name for name, task in spec["tasks"].items() if task["subset"]],
            "Computed on a part of the data (see the task cards): {}. Numbers there are not those of the whole data.",
        ),
        (
            [task for task in spec["tasks"] if cards[task]["leakage"].get("test")],
            "Some test items also occur in training or validation: {} (see the task cards).",
        ),
    ]
    # replace, not format: a title may hold braces
    return [
        text.replace("{}", ", ".join(labels[task].removesuffix(" (simulated)") for task in tasks))
        for tasks, text in sentences
        if tasks
    ]


def _caveats_of_training(spec: dict[str, Any], runs: pd.DataFrame, cells: pd.DataFrame) -> list[str]:
    found = []
    tried = {cell["run"]: [entry["learning_rate"] for entry in cell["sweep"]] for cell in spec["cells"]}
    edge = sum(
        bool(tried[row.run]) and row.learning_rate in (min(tried[row.run]), max(tried[row.run]))
        for row in cells.itertuples()
    )
    if edge:
        found.append(
            f"For {edge} of {len(cells)} scores the selected learning rate is the smallest or largest that was tried; "
            "a better one may lie outside."
        )
    final = runs[runs["role"] == "final"]
    unfinished = int((~final["stopped_early"] & (final["best_step"] == final["steps"])).sum())
    if unfinished:
        found.append(
            f"{unfinished} of {len(final)} final runs were at their best at the very last step; longer training may change the result."
        )
    return found
