"""What the README says of a study is what was measured."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MINILM = ROOT / "docs/results/minilm"


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
