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
    order = [f"{body}-{trained}" for trained in ("frozen", "all") for body in ("pretrained", "random")]
    floor = f"{100 * cells['floor'].iloc[0]:.1f}"
    assert rows_of("What the demo shows")[f"`{task}`"] == [floor, *(shown(cells.loc[condition]) for condition in order)]


def sentences_about_the_demo() -> str:
    """What the README says of the demo, on one line."""
    return " ".join(README.split("\n## What the demo shows\n")[1].split("\n## ")[0].split())


def listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def named(rows: pd.DataFrame) -> str:
    """Tasks with how many points the pretrained body scored higher, the largest first."""
    points = [f"{100 * row.difference:.0f}" for row in rows.itertuples()]
    first, *others = [f"`{row.task}` ({{}}{point})" for row, point in zip(rows.itertuples(), points, strict=True)]
    return listed([first.format("by ").replace(")", " points)"), *(one.format("") for one in others)])


def test_what_the_readme_claims_of_the_demo_is_in_its_table():
    contrasts = pd.read_csv(DEMO / "contrasts.csv").sort_values("difference", ascending=False)
    bodies = contrasts[contrasts["question"] == "pretrained or random body"]
    frozen, everything = (bodies[bodies["a"] == f"pretrained-{trained}"] for trained in ("frozen", "all"))
    for rows in (frozen, everything):
        assert sorted(rows["task"]) == sorted(TASKS)
        assert not ((rows["p"] < 0.05) & (rows["difference"] < 0)).any(), "harm would have to be told"
    sure, likely = frozen[frozen["p_holm"] < 0.05], frozen[(frozen["p"] < 0.05) & (frozen["p_holm"] >= 0.05)]
    claims = sentences_about_the_demo()
    assert f"higher than a random one on {named(sure)}, after Holm's" in claims
    assert f"uncorrected interval only on {named(likely).replace('by ', '').replace(' points', '')}." in claims
    assert (
        f"No difference was shown on {listed([f'`{task}`' for task in frozen[frozen['p'] >= 0.05]['task']])}." in claims
    )
    sure = everything[everything["p_holm"] < 0.05]
    assert (everything[everything["p_holm"] >= 0.05]["p"] >= 0.05).all()
    assert f"tuned for each condition, it scored higher on {named(sure)}. No difference" in claims
    assert f"on the other {['', 'one', 'two', 'three', 'four', 'five', 'six'][len(TASKS) - len(sure)]} tasks." in claims


def test_no_learning_rate_of_the_demo_lies_at_the_edge_of_those_tried():
    tried = pd.read_csv(DEMO / "runs.csv").query("role == 'sweep'").groupby(["task", "condition"])["learning_rate"]
    selected = pd.read_csv(DEMO / "cells.csv").set_index(["task", "condition"])["learning_rate"].sort_index()
    assert ((tried.min() < selected) & (selected < tried.max())).all()
    widened = (tried.nunique() > 3).sum()
    assert (
        f"{widened} of the {len(selected)} ranges widened until the best one was inside" in sentences_about_the_demo()
    )
    runs = tried.size().sum() - 3 * len(selected)
    assert f"where a range of learning rates has to widen ({runs} here)" in " ".join(README.split())
