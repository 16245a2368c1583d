"""What the README says of a study is what was measured."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MINILM, DEMO = (ROOT / "docs/results" / study for study in ("minilm", "demo"))
TASKS = ["composer", "digits", "listops", "bit-memory", "bit-xor", "splice-sim", "folds-sim"]


def shown(cell: pd.Series) -> str:
    low, high = (f"{100 * max(0, value):.0f}" for value in (cell["low"], min(1, cell["high"])))
    return f"{100 * cell['score']:.1f} ({low}–{high})"


def rows_of(heading: str) -> dict[str, list[str]]:
    """The table below a heading of the README: the cells of each row by its first."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", section, re.M)]
    return {first: cells for first, *cells in rows}


@pytest.mark.parametrize("task", ["splice", "composer", "listops", "mnist-patches-7"])
def test_the_table_of_minilm_is_the_one_that_was_measured(task):
    cells = pd.read_csv(MINILM / "cells.csv").set_index(["task", "condition"]).loc[task]
    order = [f"{body}-{trained}" for trained in ("frozen", "all") for body in ("pretrained", "statistics", "random")]
    floor = f"{100 * cells['floor'].iloc[0]:.1f}"
    assert rows_of("What MiniLM shows")[f"`{task}`"] == [floor, *(shown(cells.loc[condition]) for condition in order)]


def test_the_tables_are_of_the_study_as_it_stands():
    runs = pd.read_csv(MINILM / "runs.csv")
    final = runs[runs["role"] == "final"]
    assert final.groupby(["task", "condition"])["seed"].nunique().eq(3).all()
    assert len(final) == 4 * 6 * 3


@pytest.mark.parametrize("task", TASKS)
def test_the_table_of_the_demo_is_the_one_that_was_measured(task):
    cells = pd.read_csv(DEMO / "cells.csv").set_index(["task", "condition"]).loc[task]
    baseline = pd.read_csv(DEMO / "baselines.csv").set_index("task").loc[task]
    order = [f"{body}-{trained}" for trained in ("frozen", "all") for body in ("pretrained", "random")]
    first = [f"{100 * cells['floor'].iloc[0]:.1f}", f"{100 * baseline['score']:.1f}"]
    expected = [*first, *(shown(cells.loc[condition]) for condition in order)]
    assert rows_of("What the demo shows")[f"`{task}`"] == expected


def sentences_about_the_demo() -> str:
    """What the README says of the demo, on one line."""
    return " ".join(README.split("\n## What the demo shows\n")[1].split("\n## ")[0].split())


def listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def named(rows: pd.DataFrame) -> str:
    """Tasks with how many points the pretrained body scored higher, the largest first."""
    return listed([f"`{row.task}` ({100 * row.difference:+.0f})" for row in rows.itertuples()])


@pytest.mark.parametrize("trained", ["frozen", "all"])
def test_what_the_readme_says_of_bodies_is_in_the_table_of_the_demo(trained):
    contrasts = pd.read_csv(DEMO / "contrasts.csv").sort_values("difference", ascending=False)
    rows = contrasts[
        (contrasts["question"] == "pretrained or random body") & (contrasts["a"] == f"pretrained-{trained}")
    ]
    assert sorted(rows["task"]) == sorted(TASKS)
    by_outcome = {
        outcome: rows[rows["outcome"] == outcome] for outcome in ("higher", "lower", "equivalent", "undecided")
    }
    said = " ".join(f"{outcome.title()}: {named(own)}." for outcome, own in by_outcome.items() if len(own))
    pooled = pd.read_csv(DEMO / "pooled.csv").query("question == 'pretrained or random body'")
    pooled = pooled.set_index("a").loc[f"pretrained-{trained}"]
    said += " Over all seven tasks: {:+.1f} points ({:+.1f} to {:+.1f}).".format(
        *(100 * pooled[name] for name in ("difference", "low", "high"))
    )
    assert said in sentences_about_the_demo()


def test_what_the_readme_says_of_baselines_is_in_the_tables_of_the_demo():
    against = pd.read_csv(DEMO / "baseline_contrasts.csv")
    outcomes = {task: set(own["outcome"]) for task, own in against.groupby("task", sort=False)}
    beaten = [f"`{task}`" for task, found in outcomes.items() if found == {"lower"}]
    beats = [f"`{task}`" for task, found in outcomes.items() if "higher" in found]
    others = [f"`{task}`" for task in outcomes if f"`{task}`" not in beaten + beats]
    said = f"The baseline scored higher than every condition on {listed(beaten)}." if beaten else ""
    said += f" No condition is shown to beat it on {listed(others)}." if others else ""
    said += f" At least one beats it on {listed(beats)}." if beats else ""
    assert said.strip() in sentences_about_the_demo()


def test_what_the_readme_says_of_learning_rates_is_in_the_table_of_the_demo():
    rates = pd.read_csv(DEMO / "rates.csv")
    runs = rates.groupby(["task", "condition", "seed"])
    selected = rates[rates["selected"]].set_index(["task", "condition", "seed"])["learning_rate"].sort_index()
    lowest, highest = (getattr(runs["learning_rate"], end)() for end in ("min", "max"))
    at_the_edge = int(((selected == lowest) | (selected == highest)).sum())
    widened, final = int((runs.size() > 3).sum()), pd.read_csv(DEMO / "runs.csv")
    unfinished = int((final["best_step"] == final["steps"]).sum())
    said = sentences_about_the_demo()
    assert f"{widened} of {len(selected)} ranges of rates widened, {at_the_edge} selected rates are at an edge" in said
    assert f"{unfinished} of {len(final)} runs were at their best at their last step" in said
    assert f"{len(selected)} runs" in " ".join(README.split())
