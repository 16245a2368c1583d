"""Some runs of a study fail: what is there is reported, apart from the complete report, until the rest is computed."""

import csv
import fcntl
import shutil

from workflow_copy import plan_server

CELL = "tunes.tiny.random-all"
INCOMPLETE = "results/studies/tiny/incomplete"


def test_a_run_that_fails_leaves_a_report_of_the_others_until_it_is_computed(finished):
    """It fails since another process holds its lock; --keep-going computes all else."""
    report = finished.root / "results/studies/tiny/report.html"
    before = report.read_bytes()
    finished.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 1, 2]")
    finished.edit("tiny.yaml", "[tiny-xor, tunes]", "[tunes]")
    folder = finished.run_folder(CELL, 2)
    folder.mkdir()
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert finished.run("--keep-going").returncode != 0
    done = finished.by_hand("report-incomplete", "tiny.yaml")
    assert (done.returncode, done.stdout) == (0, f"{INCOMPLETE}/report.html is incomplete: 1 of 6 runs is missing.\n")
    assert report.read_bytes() == before, "the complete report of before is left alone"
    text = (finished.root / INCOMPLETE / "report.html").read_text(encoding="utf-8")
    assert "Incomplete: 1 of 6 runs is missing" in text
    [row] = csv.DictReader((finished.root / INCOMPLETE / "missing.csv").open())
    assert (row["run"], row["seed"]) == (folder.parent.name, "2")
    assert "is already being computed by another process" in row["reason"]
    assert row["reason"] in (finished.root / row["log"]).read_text()
    cells = {row["run"]: row for row in csv.DictReader((finished.root / INCOMPLETE / "cells.csv").open())}
    assert (cells[folder.parent.name]["seeds"], cells[folder.parent.name]["seeds_planned"]) == ("2", "3")
    finished.finish()
    assert report.read_bytes() != before
    assert not (finished.root / INCOMPLETE).exists()
    assert finished.plan() == set()


def test_it_says_when_there_is_nothing_to_report(fresh):
    done = fresh.by_hand("report-incomplete", "tiny.yaml")
    assert (done.returncode, done.stdout) == (
        0,
        "Study tiny: no cell has a test score yet, since 8 of 8 runs are missing; there is nothing to report.\n",
    )
    assert not (fresh.root / "results/studies").exists()


def test_it_says_when_nothing_is_missing_and_takes_an_old_report_away(finished):
    folder = finished.run_folder(CELL, 1)
    shutil.move(folder, finished.root / "elsewhere")
    finished.by_hand("report-incomplete", "tiny.yaml")
    assert (finished.root / INCOMPLETE / "report.html").exists()
    shutil.move(finished.root / "elsewhere", folder)
    done = finished.by_hand("report-incomplete", "tiny.yaml")
    assert done.stdout == "Study tiny: none of its 8 runs is missing; snakemake makes the report.\n"
    assert not (finished.root / INCOMPLETE).exists()


def test_a_task_that_could_not_be_made_is_left_out(finished):
    """Neither its card nor its tokens are there."""
    specs = plan_server().plan(finished.root, "tiny.yaml", ())[1]
    for name, spec in specs.items():
        if name.startswith("tiny-xor"):
            folder = {"task": "tasks", "tokens": "tokens", "run": "runs", "baseline": "baselines"}[spec["kind"]]
            shutil.rmtree(finished.root / "results" / folder / name)
    done = finished.by_hand("report-incomplete", "tiny.yaml")
    assert done.stdout == f"{INCOMPLETE}/report.html is incomplete: 4 of 8 runs are missing.\n"
    text = (finished.root / INCOMPLETE / "report.html").read_text(encoding="utf-8")
    assert "2 of 4 scores are not known yet" in text
    assert not list((finished.root / INCOMPLETE).rglob("*tiny-xor*"))


def test_a_study_that_is_not_known_is_one_sentence(fresh):
    done = fresh.by_hand("report-incomplete", "dmeo")
    assert (done.returncode, done.stdout) == (1, "crossover: unknown study dmeo; did you mean demo?\n")
