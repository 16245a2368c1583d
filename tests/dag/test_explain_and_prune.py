"""Why jobs would run, in words; and what no study uses any more."""

import fcntl
import shutil
import subprocess
import sys

from workflow_copy import WorkflowCopy, fresh_environment


def crossover(copy: WorkflowCopy, *arguments: str) -> subprocess.CompletedProcess:
    environment = fresh_environment() | {"PYTHONPATH": str(copy.root / "workflow")}
    return subprocess.run(
        [sys.executable, "-m", "crossover", *arguments],
        **{"cwd": copy.root, "env": environment, "capture_output": True, "text": True, "check": False},
    )


def explained(copy: WorkflowCopy) -> set[tuple[str, str]]:
    """Rule with the number of its jobs, and their cause."""
    done = crossover(copy, "explain", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[1:]
    return {(line.split()[0] + " x " + line.split()[2], line.split(": ", 1)[1]) for line in lines}


def test_nothing_would_run(finished):
    assert crossover(finished, "explain", "tiny.yaml").stdout == (
        "Nothing would run: study tiny is complete and up to date.\n"
    )


def test_a_setting_is_named_with_its_old_and_new_value(finished):
    finished.edit("tiny.yaml", "length: 4 steps", "length: 6 steps")
    assert {
        ("finetune_run x 8", "training.length: 4 steps -> 6 steps"),
        (
            "aggregate_study x 1",
            "what it reads is made anew; it reads other files than before; its settings have changed",
        ),
    } <= explained(finished)


def test_a_change_far_upstream_is_named_where_it_was_made(finished):
    finished.edit("config/tasks/tunes.yaml", "segment: 8", "segment: 7")
    causes = explained(finished)
    assert ("prepare_task x 1", "reader.segment: 8 -> 7") in causes
    assert ("finetune_run x 4", "reader.segment: 8 -> 7") in causes


def test_changed_code_is_named_by_its_module(finished):
    finished.append("workflow/crossover/training/loop.py", "\nX = 1\n")
    causes = explained(finished)
    assert ("finetune_run x 8", "the code of crossover.training.loop has changed") in causes


def test_a_new_seed_is_no_new_run(finished):
    finished.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 1, 2]")
    assert ("finetune_run x 4", "its seed 2 has not been computed yet") in explained(finished)


def test_a_lost_file_is_called_missing(finished):
    (finished.run_folder("tunes.tiny.random-all", 0) / "curve.parquet").unlink()
    assert ("finetune_run x 1", "its files are missing") in explained(finished)


def test_a_study_that_cannot_be_planned_is_one_sentence(finished):
    done = crossover(finished, "explain", "dmeo")
    assert (done.returncode, done.stderr) == (1, "crossover: unknown study dmeo; did you mean demo?\n")


def test_prune_lists_what_an_edit_left_behind_and_deletes_it_when_told(finished):
    old = finished.run_folder("tunes.tiny.random-all", 0).parent
    shutil.move(finished.study, finished.root / "config/studies/tiny.yaml")
    (finished.root / "resources/downloads/checksums.json").write_text(
        "{}"
    )  # of downloads, whichever study asks for them
    assert "Nothing to delete" in crossover(finished, "prune").stdout
    before = sorted(finished.root.rglob("*"))
    finished.edit("config/studies/tiny.yaml", "random-all]", "random-frozen]")
    listed = crossover(finished, "prune").stdout
    assert str(old.relative_to(finished.root)) in listed
    assert "pretrained-frozen" not in listed
    assert sorted(finished.root.rglob("*")) == before, "listing deletes nothing"
    deleted = crossover(finished, "prune", "--delete")
    assert deleted.returncode == 0, deleted.stderr
    assert not old.exists()
    assert "Nothing to delete" in crossover(finished, "prune").stdout
    kept = {path.name for path in (finished.root / "results/runs").iterdir()}
    assert all("pretrained-frozen" in name for name in kept)
    assert len(kept) == 2


def test_prune_keeps_results_of_a_study_that_it_does_not_know(finished):
    done = crossover(finished, "prune", "--delete")
    assert done.returncode == 1
    assert "keep its runs with --study PATH" in done.stderr
    assert len(list((finished.root / "results/runs").iterdir())) == 4
    assert "Nothing to delete" in crossover(finished, "prune", "--study", "tiny.yaml").stdout


def test_prune_leaves_a_run_alone_that_is_being_computed(finished):
    folder = finished.run_folder("tunes.tiny.random-all", 0).parent
    shutil.move(finished.study, finished.root / "config/studies/tiny.yaml")
    finished.edit("config/studies/tiny.yaml", "random-all]", "random-frozen]")
    with (folder / "seed-0" / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = crossover(finished, "prune", "--delete")
    assert done.returncode == 0
    assert folder.is_dir()
    assert "in use" in done.stdout
