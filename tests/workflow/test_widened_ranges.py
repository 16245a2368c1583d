"""A range of learning rates widens by itself while its best rate lies at an edge."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from workflow_copy import REPORT, WorkflowCopy, final_runs, fresh_copy, fresh_environment, plan_server, results, runs

CELLS = ["tiny-xor.tiny.pretrained-frozen", "tiny-xor.tiny.random-all"]
INSIDE, LOWER, HIGHER = (1e-7, 1e-6), (1e-9, 1e-8), (1e-5, 1e-4)
RANGE = "{low: 1e-7, high: 1e-6, per_decade: 1}"
WIDE = "{low: 1e-9, high: 1e-6, per_decade: 1, widen: 0}"
RESULTS = ("metrics.json", "curve.parquet", "predictions.parquet")


@pytest.fixture(scope="session")
def _widened(made_once) -> WorkflowCopy:
    """The tiny study with far too low rates: nothing is learned, and the loss is the lowest at rates below the range."""

    def fill(folder: Path) -> None:
        copy = fresh_copy(folder)
        copy.edit("tiny.yaml", "[1e-3, 1e-2]", RANGE)
        copy.edit("tiny.yaml", "[tiny-xor, tunes]", "[tiny-xor]")
        copy.finish("--cores", "2")

    return WorkflowCopy(made_once("widened", fill))


@pytest.fixture
def widened(_widened, tmp_path) -> WorkflowCopy:
    return _widened.copy(tmp_path / "workflow")


def selections(copy: WorkflowCopy) -> dict[str, dict]:
    """The selected rates of the study as it is now, with their candidates, by cell."""
    _, specs = plan_server().plan(copy.root, "tiny.yaml", ())
    [study] = [spec for spec in specs.values() if spec["kind"] == "study"]
    return {f"{one['task']}.tiny.{one['condition']}": read(copy.root / one["rate"]) for one in study["cells"]}


def read(path: Path) -> dict:
    content = json.loads(path.read_text())
    return {key: content[key] for key in ("learning_rate", "candidates")}


def selection_and_final_runs(rule: str) -> set[tuple[str, str]]:
    return {(rule, cell) for cell in CELLS} | final_runs(CELLS, [0, 1])


def trained(copy: WorkflowCopy) -> dict[str, int]:
    """When each result of each run was written."""
    paths = [path for name in RESULTS for path in copy.root.glob(f"results/runs/*/*/{name}")]
    return {str(path.relative_to(copy.root)): path.stat().st_mtime_ns for path in paths}


def crossover(copy: WorkflowCopy, *arguments: str) -> str:
    environment = fresh_environment() | {"PYTHONPATH": str(copy.root / "workflow")}
    command = [sys.executable, "-m", "crossover", *arguments]
    done = subprocess.run(command, cwd=copy.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_range_widens_until_the_best_rate_is_inside_or_the_limit_is_reached(widened):
    for found in selections(widened).values():
        assert [one["learning_rate"] for one in found["candidates"]] == [*LOWER, *INSIDE]
        assert found["learning_rate"] in LOWER
    assert not list(widened.root.glob("results/runs/*/finished")), "results that were kept a second time"
    at_the_limit = sum(found["learning_rate"] == LOWER[0] for found in selections(widened).values())
    study = widened.root / "results/studies/tiny"
    report = (study / "report.html").read_text(encoding="utf-8")
    assert ("was widened to its limit" in report) == bool(at_the_limit)
    for table in ("runs", "costs", "curves"):
        rows = pandas.read_parquet(study / f"{table}.parquet")
        assert rows.loc[rows["role"] == "sweep", "run"].nunique() == 2 * len([*LOWER, *INSIDE]), table


def test_a_widened_study_is_complete(widened):
    assert widened.plan() == set()
    assert "8 of 8 runs done, 0 running." in crossover(widened, "status", "tiny.yaml")
    assert "Nothing to delete" in crossover(widened, "prune", "--study", "tiny.yaml")


def test_a_widened_sweep_is_that_of_a_range_that_was_wide_from_the_start(widened, tmp_path):
    wide = widened.copy(tmp_path / "wide")
    wide.edit("tiny.yaml", RANGE, WIDE)
    assert wide.plan() == selection_and_final_runs("select_rate") | REPORT, "what was tried is not tried again"
    shutil.rmtree(wide.root / "results/runs")
    wide.finish("--cores", "2")
    assert selections(wide) == selections(widened)
    ours, theirs = results(widened), results(wide)
    candidates = [
        f"runs/{one['run']}/seed-{one['seed']}/{name}"
        for found in selections(widened).values()
        for one in found["candidates"]
        for name in RESULTS
    ]
    assert len(candidates) == 2 * 4 * 3
    assert {path: ours[path] for path in candidates} == {path: theirs[path] for path in candidates}
    for cell in CELLS:  # of the final runs, metrics hold their names
        for name in RESULTS[1:]:
            pair = [copy.run_folder(cell, 1) / name for copy in (widened, wide)]
            assert pair[0].read_bytes() == pair[1].read_bytes()


def test_a_lost_selection_is_made_again_and_trains_nothing(widened):
    before, found = trained(widened), selections(widened)
    for path in widened.root.glob("results/widened/*"):
        path.unlink()
    assert widened.plan() == selection_and_final_runs("widen_range") | REPORT
    widened.finish("--until", "widen_range")
    assert (trained(widened), selections(widened)) == (before, found)
    assert widened.plan() == set()


def test_a_lost_result_of_a_further_rate_is_made_again_alone(widened):
    (widened.run_folder(f"{CELLS[0]}@1e-08", 1000) / "curve.parquet").unlink()
    assert widened.plan() == {("finetune_run", f"{CELLS[0]}@1e-08/seed-1000")} | REPORT


def test_a_changed_result_of_a_further_rate_is_named(widened):
    path = widened.run_folder(f"{CELLS[0]}@1e-08", 1000) / "metrics.json"
    path.write_text(path.read_text().replace("1e-08", "1e-07"))
    done = widened.run("--cores", "1")
    assert done.returncode != 0
    assert str(path.relative_to(widened.root)) in done.stdout


@pytest.mark.parametrize(("setting", "rule"), [(", widen: 3}", "widen_range"), (", widen: 0}", "select_rate")])
def test_another_limit_plans_the_selection_and_the_final_runs(widened, setting, rule):
    widened.edit("tiny.yaml", RANGE, RANGE.replace("}", setting))
    assert widened.plan() == selection_and_final_runs(rule) | REPORT


def test_a_higher_limit_is_explained(widened):
    widened.edit("tiny.yaml", RANGE, RANGE.replace("}", ", widen: 3}"))
    said = crossover(widened, "explain", "tiny.yaml")
    assert "learning_rate.lower: 2 -> 3 further decades" in said


def test_a_fresh_plan_asks_for_no_further_rate(fresh):
    fresh.edit("tiny.yaml", "[1e-3, 1e-2]", RANGE)
    fresh.edit("tiny.yaml", "[tiny-xor, tunes]", "[tiny-xor]")
    wanted = {job for job in runs(CELLS, rates=["1e-07", "1e-06"]) if job[0] == "finetune_run"}
    planned = fresh.plan()
    assert {job for job in planned if job[0] in ("finetune_run", "widen_range", "select_rate")} == wanted | {
        ("widen_range", cell) for cell in CELLS
    }
    assert fresh.plan("--profile", "slurm") == planned


def test_a_job_on_a_cluster_trains_what_is_missing_whatever_the_config_is_now(widened):
    before, found = results(widened), selections(widened)[CELLS[0]]
    name, further = widened.named(CELLS[0]), widened.run_folder(f"{CELLS[0]}@1e-09", 1000)
    shutil.rmtree(further)
    (widened.root / f"results/widened/{name}.json").unlink()
    study = widened.study.read_bytes()
    widened.edit("tiny.yaml", RANGE, "[5e-1]")
    done = widened.as_cluster_job("widen_range", run=name)
    assert done.returncode == 0, done.stdout
    assert read(widened.root / f"results/widened/{name}.json") == found
    widened.study.write_bytes(study)
    done = widened.as_cluster_job("aggregate_study", study="tiny")
    assert done.returncode == 0, done.stdout
    assert results(widened) == before
