"""How the transformers of a study compare with the baselines of its tasks, in words that follow from the tables alone."""

from collections.abc import Sequence

import pandas as pd

from crossover.charts.palette import task_labels
from crossover.specs.studies import StudySpec

FAMILIES = {
    "constant": "a constant answer",
    "logistic regression": "a linear model",
    "ridge regression": "a linear model",
    "gradient boosting": "boosted trees",
}


def baseline_sentences(spec: StudySpec, baselines: pd.DataFrame, contrasts: pd.DataFrame) -> list[str]:
    """Return on which tasks the baseline beats every transformer, on which at least one beats it, and on which none is shown to.

    Args:
        spec: the study, for the titles of its tasks.
        baselines: the table of baselines.
        contrasts: every cell against the baseline of its task.
    """
    outcomes = contrasts.groupby("task", sort=False)["outcome"]
    lower = [task for task, own in outcomes if (own == "lower").all()]
    higher = [task for task, own in outcomes if (own == "higher").any()]
    others = [task for task, _ in outcomes if task not in (*lower, *higher)]
    models = dict(zip(baselines["task"], baselines["model"], strict=True))
    titles = task_labels(spec.tasks)

    def words(tasks: list[str]) -> tuple[str, str]:
        names = [FAMILIES[model] for task in tasks for model in models[task].split("; ")]
        return _listed(sorted(set(names)), "or"), _listed([titles[task] for task in tasks], "and")

    sentences = []
    if lower:
        model, where = words(lower)
        sentences.append(f"{model[0].upper()}{model[1:]} scored higher than every transformer here on {where}.")
    if others:
        model, where = words(others)
        sentences.append(f"No transformer here is shown to beat {model} on {where}.")
    if higher:
        model, where = words(higher)
        sentences.append(f"At least one transformer here beats {model} on {where}.")
    return sentences


def _listed(names: Sequence[str], link: str) -> str:
    """Return names as a list in words: `a`, `a and b`, `a, b and c`; with semicolons where a name has a comma."""
    separator = "; " if any("," in name for name in names) else ", "
    return f" {link} ".join(filter(None, [separator.join(names[:-1]), names[-1]]))
