"""Colours of the report, and how a cell looks in every chart.

The hues are those of Okabe and Ito (2008), which people with any kind of colour vision can tell apart; in the dark
theme they are lightened to keep their contrast. Charts name colours as CSS variables, so that one chart serves both
themes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from crossover.labels import body_name, input_name, trained_name
from crossover.metrics import METRICS
from crossover.specs.studies import StudyAnalysis, StudySpec, StudyTask

# Light and dark value of each CSS variable.
COLOURS = {
    "page": ("#fdfdfb", "#16181b"),
    "panel": ("#f4f3ef", "#1f2226"),
    "ink": ("#1b1c1e", "#ececea"),
    "soft": ("#5b5f66", "#a9afb8"),
    "line": ("#d9d7d0", "#3a3f46"),
    "link": ("#005a92", "#7cc4f2"),
    "blue": ("#0072b2", "#5ab0e8"),
    "vermillion": ("#d55e00", "#f58a3c"),
    "green": ("#00805e", "#3cc69c"),
    "purple": ("#b0568d", "#e39cc8"),
    "orange": ("#c78500", "#e9b13c"),
    "sky": ("#3d9bd4", "#9bd3f7"),
    "badge": ("#fff1c9", "#4a3d10"),
    "badge-ink": ("#6b4e00", "#ffdf80"),
    "alarm": ("#a63c00", "#a63c00"),
    "alarm-ink": ("#ffffff", "#ffffff"),
}
HUES = ("blue", "vermillion", "green", "purple", "orange", "sky")
SHAPES = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down")
DASHES = ((1, 0), (5, 3), (2, 2), (8, 3, 2, 3), (1, 3), (10, 3))


Look = TypeVar("Look")


@dataclass(frozen=True)
class Series:
    """How one pair of checkpoint and condition looks.

    Attributes:
        label: its name in charts and tables.
        colour: a CSS variable; it follows from checkpoint and body.
        shape: Vega's name of a point's shape; it follows from input and what is trained.
        dash: pattern of its lines, like the shape.
    """

    label: str
    colour: str
    shape: str
    dash: tuple[int, ...]


def make_series(spec: StudySpec) -> dict[tuple[str, str], Series]:
    """Return the looks of every checkpoint and condition of a study, in the order of its spec."""
    bodies: list[tuple[str, str]] = []
    ways: list[tuple[str, str]] = []
    conditions = unique_labels({name: condition.title for name, condition in spec.conditions.items()})
    checkpoints = checkpoint_labels(spec)
    series = {}
    for checkpoint in spec.checkpoints:
        for name, condition in spec.conditions.items():
            colour = _look_of((checkpoint, body_name(condition.body)), bodies, HUES)
            way = (input_name(condition.input), trained_name(condition.trained))
            prefix = f"{checkpoints[checkpoint]}: " if len(checkpoints) > 1 else ""
            series[checkpoint, name] = Series(
                label=prefix + conditions[name],
                colour=f"var(--{colour})",
                shape=_look_of(way, ways, SHAPES),
                dash=_look_of(way, ways, DASHES),
            )
    return series


def make_models(spec: StudySpec) -> dict[str, Series]:
    """Return the looks of the models that a study's analyses are about, by label; bodies have the colours of their conditions."""
    models = [model for entry in spec.analyses for model in entry.models]
    bodies = [(name, body_name(one.body)) for name in spec.checkpoints for one in spec.conditions.values()]
    bodies = list(dict.fromkeys(bodies))
    titles = unique_labels({model.checkpoint: model.checkpoint_title for model in models})
    inputs = list(dict.fromkeys(model.input for model in models))
    kinds = list(dict.fromkeys((model.input, model.condition) for model in models))
    looks = {}
    for model in models:
        prefix = f"{titles[model.checkpoint]}: " if len(titles) > 1 else ""
        suffix = f", {model.input} input" if len(inputs) > 1 else ""
        suffix += f", fine-tuned as {model.condition}" if model.condition else ""
        place = kinds.index((model.input, model.condition))
        looks[model.label] = Series(
            label=f"{prefix}{model.body} body{suffix}",
            colour=f"var(--{_look_of((model.checkpoint, model.body), bodies, HUES)})",
            shape=SHAPES[place % len(SHAPES)],
            dash=DASHES[place % len(DASHES)],
        )
    return looks


def _look_of(key: tuple[str, str], seen: list[tuple[str, str]], looks: tuple[Look, ...]) -> Look:
    """Return the look of `key`: the next free one when it is new; the last ones are shared when there are not enough."""
    if key not in seen:
        seen.append(key)
    return looks[seen.index(key) % len(looks)]


def unique_labels(titles: Mapping[str, str]) -> dict[str, str]:
    """Return titles by name, with the name added where two titles are equal; charts would merge them otherwise."""
    every = list(titles.values())
    return {name: title if every.count(title) == 1 else f"{title} [{name}]" for name, title in titles.items()}


def checkpoint_labels(spec: StudySpec) -> dict[str, str]:
    """Return the label of each checkpoint of a study."""
    return unique_labels({name: checkpoint.title for name, checkpoint in spec.checkpoints.items()})


def task_labels(tasks: Mapping[str, StudyTask | StudyAnalysis]) -> dict[str, str]:
    """Return the label of each task: what is scored if not accuracy, whether it has a part of its data only, or is simulated.

    Args:
        tasks: by name, as a study or one of its analyses describes them.
    """
    labels = unique_labels({name: task.name_in_report for name, task in tasks.items()})
    for name, task in tasks.items():
        if task.metric != "accuracy":
            labels[name] += f" ({METRICS[task.metric].label})"
        if task.subset:
            labels[name] += " (subset)"
        if task.simulated and "simulated" not in labels[name].lower():
            labels[name] += " (simulated)"
    return labels


def metric_words(spec: StudySpec) -> str:
    """Return what a score is, in words."""
    metrics = {task.metric for task in spec.tasks.values()}
    return "accuracy" if metrics == {"accuracy"} else "accuracy, or the metric that is named after a task"


def css_variables() -> str:
    """Return the colours as CSS declarations that follow the theme."""
    return "".join(f"--{name}: light-dark({light}, {dark}); " for name, (light, dark) in COLOURS.items())


def with_light_colours(svg: str) -> str:
    """Put the light theme's values in the place of CSS variables, for a picture that stands alone."""
    for name, (light, _) in COLOURS.items():
        svg = svg.replace(f"var(--{name})", light)
    return svg
