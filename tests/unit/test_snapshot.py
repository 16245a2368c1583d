"""The plan and the code that an invocation's jobs use."""

import json
import os
import subprocess
import sys

import pytest

from crossover.files import read_json
from crossover.planning.plan import make_plan
from crossover.planning.snapshot import PLAN_FOLDER, freeze, plan_of, superseded_plans, thaw, use_frozen
from workflow_copy import fresh_copy


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """The tiny study in a folder of its own, and its plan."""
    copy = fresh_copy(tmp_path / "workflow")
    monkeypatch.chdir(copy.root)
    return copy, make_plan("tiny.yaml")


def test_what_is_thawed_is_what_was_frozen(planned):
    _, plan = planned
    found = thaw(freeze(plan))
    assert (found.study, found.settings, found.cells, found.runs) == (plan.study, plan.settings, plan.cells, plan.runs)
    assert dict(found.specs) == dict(plan.specs)
    assert "no-such-spec" not in found.specs


def test_the_same_plan_is_written_once_and_an_edit_gives_another(planned):
    copy, plan = planned
    first = freeze(plan)
    assert freeze(plan) == first
    copy.edit("tiny.yaml", "max_steps: 4", "max_steps: 6")
    second = freeze(make_plan("tiny.yaml"))
    assert second != first
    assert [folder.name for folder in superseded_plans()] == [first.name]
    assert plan_of("tiny.yaml").settings.training.max_steps == 6
    os.utime(first, (2e9, 2e9))
    assert plan_of("tiny").settings.training.max_steps == 4, "the one that was started last"


def test_a_plan_that_was_left_half_written_is_written_anew(planned):
    _, plan = planned
    folder = freeze(plan)
    (folder / "plan.json").unlink()
    assert freeze(plan) == folder
    assert thaw(folder).study == "tiny"


def test_processes_use_the_frozen_code(planned, monkeypatch):
    _, plan = planned
    folder = freeze(plan)
    monkeypatch.setenv(PLAN_FOLDER, "")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    use_frozen(folder)
    where = subprocess.run(
        [sys.executable, "-c", "import crossover, os; print(crossover.__file__, os.environ['CROSSOVER_PLAN'])"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert where == [f"{folder}/code/crossover/__init__.py", str(folder)]


def test_every_spec_is_there_as_the_file_that_write_spec_copies(planned):
    _, plan = planned
    folder = freeze(plan)
    for name, spec in plan.specs.items():
        assert read_json(folder / "specs" / f"{name}.json") == json.loads(json.dumps(spec))
