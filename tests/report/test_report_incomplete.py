"""A study some of whose runs are missing: what is there is told, and that it is not all cannot be overlooked."""

import re
import xml.etree.ElementTree as ElementTree
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from page import Page
from synthetic import RATES, write_study

from crossover.commands.report_incomplete import write_part
from crossover.report.facts import read_cards
from crossover.report.findings import caveats
from crossover.runs.files import run_folder
from crossover.specs.studies import Cell, LeftOut, StudySpec
from crossover.statistics.aggregate import make_tables
from crossover.statistics.pairs import comparable_pairs
from crossover.statistics.partial import DAMAGED, MissingRun, Part, complete_part, computed_part

FOLDER = Path("results/studies/demo/incomplete")
# Few items; groups; one task that nothing learns, and one on which everything is right.
SMALL = {
    "composer": ("Composer of a piece", "music", False, 0.31, 40, 5, ["bach", "palestrina"], (0.71, 0.52, 0.74, 0.70)),
    "bit-xor": ("Bit XOR", "logic", False, 0.50, 20, 1, None, (1.0, 0.82, 1.0, 1.0)),
    "folds-sim": ("Protein classes (simulated)", "protein", True, 0.4, 30, 1, ["a", "b"], (0.4, 0.4, 0.4, 0.4)),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The spec of a small study; its folder is the working directory."""
    root = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield write_study(root, SMALL)


def planned(spec: StudySpec) -> list[tuple[str, int]]:
    return [run for cell in spec.cells for run in cell.runs]


@contextmanager
def without(runs):
    """As if these runs had not been computed."""
    folders = [run_folder(run, seed) for run, seed in runs]
    for folder in folders:
        folder.rename(folder.with_suffix(".away"))
    try:
        yield
    finally:
        for folder in folders:
            folder.with_suffix(".away").rename(folder)


@st.composite
def missing_runs(draw, spec):
    """Some runs, or all but some."""
    runs = planned(spec)
    chosen = draw(st.sets(st.sampled_from(runs), max_size=len(runs)))
    return set(runs) - chosen if draw(st.booleans()) else chosen


def by_cell(part: Part) -> dict[tuple[str, str, str], Cell]:
    return {cell.key: cell for cell in part.spec.cells}


SLOW = {"suppress_health_check": list(HealthCheck)}


@given(data=st.data())
@settings(max_examples=10, **SLOW)
def test_the_tables_hold_what_is_there_and_nothing_else(small, data):
    gone = data.draw(missing_runs(small))
    with without(gone):
        part = computed_part(small)
        assert {(entry.run, entry.seed) for entry in part.missing} == gone
        assert (part.runs, len(part.missing)) == (len(planned(small)), len(gone))
        for kind in ("task", "checkpoint", "condition"):
            used = {getattr(cell, kind) for cell in part.spec.cells}
            names = list(getattr(part.whole, f"{kind}s"))
            assert list(getattr(part.spec, f"{kind}s")) == [name for name in names if name in used]
        if not part.spec.cells:
            assert {(cell.run, seed) for cell in small.cells for seed in cell.seeds} <= gone
            return
        tables = make_tables(part.spec)
    cells, there = by_cell(part), set(planned(part.spec))
    assert (
        there
        == {
            (run, seed)
            for cell in small.cells
            if not {(cell.run, one) for one in cell.seeds} <= gone
            for run, seed in cell.runs
        }
        - gone
    )
    for name in ("runs", "curves", "costs"):
        table = getattr(tables, name)
        table = table[table["role"] == "run"] if name == "costs" else table  # neither pretraining nor baselines
        assert set(zip(table["run"], table["seed"], strict=True)) == there
    final = {(cell.run, seed) for cell in cells.values() for seed in cell.seeds}
    assert set(zip(tables.convergence["run"], tables.convergence["seed"], strict=True)) == final
    assert tables.cells["seeds"].tolist() == [len(cell.seeds) for cell in cells.values()]
    assert (tables.cells["low"] <= tables.cells["score"]).all()
    assert (tables.cells["score"] <= tables.cells["high"]).all()
    check_contrasts(tables, part, cells)


def check_contrasts(tables, part, cells) -> None:
    """One row for each pair of conditions that trained, tested where both have several seeds."""
    rows = tables.cells.itertuples()
    trained = {(row.task, row.checkpoint, row.condition) for row in rows if row.did_train}
    expected = {
        (pair.kind, task, pair.a, pair.b): min(len(cells[a].seeds), len(cells[b].seeds))
        for pair in comparable_pairs(part.spec.conditions)
        for task in part.spec.tasks
        if {a := (task, "topics-gpt2", pair.a), b := (task, "topics-gpt2", pair.b)} <= trained
    }
    table = tables.contrasts
    assert {(row.kind, row.task, row.a, row.b): row.seeds for row in table.itertuples()} == expected
    assert table[["difference", "low", "high"]].notna().all().all()
    for column in ("p", "p_holm", "detectable"):
        assert (table[column].notna() == (table["seeds"] > 1)).all()


def test_a_rate_at_the_edge_of_a_range_that_has_widened_is_said_to_be(small):
    tables, cards = make_tables(small), read_cards(small)
    number = int(tables.runs["learning_rate"].isin([min(RATES), max(RATES)]).sum())
    assert number
    words = (
        f"For {number} of {len(tables.runs)} runs the selected learning rate is the smallest or largest that was tried"
    )
    wide = small.model_copy(update={"cells": tuple(cell.model_copy(update={"widens": True}) for cell in small.cells)})
    for spec, after in ((small, ""), (wide, ", after its range was widened to its limit")):
        for part in (complete_part(spec), computed_part(spec)):
            said = [text for text in caveats(part, tables, cards) if "learning rate" in text]
            assert said == [f"{words}{after}; a better one may lie outside."]


def test_what_is_left_out_is_named_with_its_reason(small):
    tables, cards = make_tables(small), read_cards(small)
    [task, *_], [condition, *_] = small.tasks, small.conditions
    gone = LeftOut(task=task, checkpoint="topics-gpt2", condition=condition, reason="patches have no tokens")
    said = caveats(complete_part(small.model_copy(update={"left_out": (gone,)})), tables, cards)
    title = small.conditions[condition].title
    assert f"Left out, since patches have no tokens: the condition ‘{title}’ on {small.tasks[task].title}." in said
    assert not [text for text in caveats(complete_part(small), tables, cards) if text.startswith("Left out")]


@given(data=st.data())
@settings(max_examples=3, phases=[Phase.generate], **SLOW)  # rendering takes too long to look for a smaller example
def test_any_part_can_be_reported_and_says_that_it_is_one(small, data):
    gone = data.draw(missing_runs(small))
    with without(gone):
        part = computed_part(small)
        assume(part.spec.cells)
        write_part(part, FOLDER)
    text = (FOLDER / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert ('class="alarm banner"' in text) == bool(gone)
    assert ('class="alarm notice"' in text) == bool(gone)
    assert ("<title>Incomplete: " in text) == bool(gone)
    assert ("missing" in page.all("id")) == bool(gone)
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.all("href") if link.startswith("#")} <= set(ids)
    for run, seed in gone:
        assert f"/{run}/seed-{seed}/" not in text, "a link to a result that is not there"


def test_a_single_seed_is_enough(small):
    kept = (small.cells[0].run, 1)
    with without(set(planned(small)) - {kept}):
        part = computed_part(small)
        write_part(part, FOLDER)
    cells = pd.read_csv(FOLDER / "cells.csv")
    assert cells[["run", "seeds", "seeds_planned"]].to_numpy().tolist() == [[kept[0], 1, 3]]
    text = Page((FOLDER / "report.html").read_text(encoding="utf-8")).text
    for words in ("There is one seed", "can be compared yet"):
        assert words in text


def test_a_damaged_run_is_missing_and_says_why(small):
    cell = small.cells[5]
    path = run_folder(cell.run, 0) / "curve.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")
    part = computed_part(small)
    path.write_bytes(content)
    log = f"logs/finetune_run/{cell.run}/seed-0.log"
    assert part.missing == [MissingRun(*cell.key, cell.run, 0, DAMAGED, log)]


# --- the report ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(incomplete) -> Page:
    return Page(incomplete.report.read_text(encoding="utf-8"))


def test_a_complete_report_says_nothing_of_the_kind(study):
    text = study.report.read_text(encoding="utf-8")
    assert "ncomplete" not in Page(text).text
    assert 'class="alarm' not in text


def test_it_lists_what_is_missing_by_reason(incomplete, page):
    assert "It ran out of memory \"><img src=x onerror='window.hacked = 3'> (12 runs)" in page.text
    assert "It has not been computed (6 runs)" in page.text
    assert f"{DAMAGED[0].upper()}{DAMAGED[1:]} (1 run)" in page.text
    assert not [tag for tag, _ in page.tags if tag == "img"]
    table = pd.read_csv(incomplete.root / incomplete.folder / "missing.csv")
    assert len(table) == 19
    for row in table.itertuples():
        if row.task == "bit-xor":
            assert f"../../../../{row.log}" in page.all("href")
        assert row.run in page.text
    assert "4 of 28 scores are not known yet" in page.text


def test_every_link_of_it_leads_somewhere(incomplete, page):
    for link in page.all("href"):
        if not link.startswith(("#", "data:")):
            assert (incomplete.report.parent / unquote(link)).exists(), link


def test_its_analyses_wait_for_the_missing_runs(page):
    assert "Analyses of representations They are shown once no run is missing." in page.text


def test_it_marks_the_scores_with_fewer_seeds(incomplete, page):
    cells = pd.read_csv(incomplete.root / incomplete.folder / "cells.csv")
    assert set(cells["seeds_planned"]) == {3}
    few = {f"{row.task}.{row.checkpoint}.{row.condition}" for row in cells[cells["seeds"] < 3].itertuples()}
    assert len(few) == 7
    text = incomplete.report.read_text(encoding="utf-8")
    for row in re.findall(r'<tr id="cell-(\S+)">(.*?)</tr>', text, flags=re.S):
        assert ("2 of 3\N{NO-BREAK SPACE}seeds" in row[1]) == (row[0] in few)


def test_its_pictures_say_so_too(incomplete):
    paths = list((incomplete.root / incomplete.folder / "figures").glob("*.svg"))
    assert len(paths) > 10
    for path in paths:
        texts = [one.text for one in ElementTree.parse(path).iter() if one.tag.endswith("text")]
        assert "Incomplete: 19 of 84 runs are missing" in texts
