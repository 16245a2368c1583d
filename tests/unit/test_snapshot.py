"""The plan and the code that an invocation's jobs use."""

import os
import subprocess
import sys

import pytest

from crossover.planning.plan import make_plan
from crossover.planning.snapshot import (
    PLAN_FOLDER,
    activate_snapshot,
    plan_of,
    read_snapshot,
    superseded_plans,
    write_snapshot,
)
from workflow_copy import fresh_copy


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """The tiny study in a folder of its own, and its plan."""
    copy = fresh_copy(tmp_path / "workflow")
    monkeypatch.chdir(copy.root)
    return copy, make_plan("tiny.yaml")


def test_a_snapshot_reads_as_the_plan_that_was_written(planned):
    _, plan = planned
    found = read_snapshot(write_snapshot(plan))
    assert (found.study, found.settings) == (plan.study, plan.settings)
    assert dict(found.specs) == dict(plan.specs)
    assert "no-such-spec" not in found.specs


def test_the_same_plan_is_written_once_and_an_edit_gives_another(planned):
    copy, plan = planned
    first = write_snapshot(plan)
    assert write_snapshot(plan) == first
    copy.edit("tiny.yaml", "length: 4 steps", "length: 6 steps")
    second = write_snapshot(make_plan("tiny.yaml"))
    assert second != first
    assert [folder.name for folder in superseded_plans()] == [first.name]
    assert plan_of("tiny.yaml").settings.training.length == "6 steps"
    os.utime(first, (2e9, 2e9))
    assert plan_of("tiny").settings.training.length == "4 steps", "the one that was started last"


def test_a_plan_that_was_left_half_written_is_written_anew(planned):
    _, plan = planned
    folder = write_snapshot(plan)
    (folder / "plan.json").unlink()
    assert write_snapshot(plan) == folder
    assert read_snapshot(folder).name == "tiny"


def test_processes_use_the_code_of_the_snapshot(planned, monkeypatch):
    _, plan = planned
    folder = write_snapshot(plan)
    monkeypatch.setenv(PLAN_FOLDER, "")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    activate_snapshot(folder)
    where = subprocess.run(
        [sys.executable, "-c", "import crossover, os; print(crossover.__file__, os.environ['CROSSOVER_PLAN'])"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert where == [f"{folder}/code/crossover/__init__.py", str(folder)]


def test_every_spec_is_there_for_jobs_and_for_the_commands_in_their_logs(planned):
    copy, plan = planned
    folder = write_snapshot(plan)
    for spec in (plan.study, *plan.specs.values()):
        assert (folder / "specs" / f"{spec.name}.json").read_text() == spec.text
        assert (copy.root / "results/specs" / f"{spec.name}.json").read_text() == spec.text


def test_specs_that_differ_from_the_plan_are_written_again_and_the_others_stay(planned):
    copy, plan = planned
    write_snapshot(plan)
    damaged, lost, *others = sorted((copy.root / "results/specs").iterdir())
    before = {path: path.stat().st_mtime_ns for path in others}
    text = damaged.read_text()
    damaged.write_text("")
    lost.unlink()
    write_snapshot(plan)
    assert damaged.read_text() == text
    assert lost.exists()
    assert {path: path.stat().st_mtime_ns for path in others} == before
