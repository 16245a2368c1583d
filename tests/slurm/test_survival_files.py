"""What edits and file systems do to a study whose jobs wait and run on a cluster.

Whatever happens, the study ends with the results of one that was left alone.
"""

import hashlib
import re
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from small_study import (
    ON_CLUSTER,
    ONE_SEED,
    RUNS,
    add_gate,
    ended,
    events,
    held,
    is_undisturbed,
    jobs_of,
    keep_one_run,
    open_gate,
    release,
    run_folders,
    snakemake,
    wait_for_jobs,
    wait_for_saves,
)

from crossover.files import read_json

# --- edits ------------------------------------------------------------------------------------------------


def test_waiting_jobs_do_what_was_planned_whatever_becomes_of_config_and_code(small, cluster, undisturbed):
    config = ("tiny.yaml", "config/config.yaml", "config/conditions.yaml", "config/tasks/tiny-xor.yaml")
    loop, planner = "workflow/crossover/training/loop.py", "workflow/crossover/planning/plan.py"
    before = {file: (small.root / file).read_text() for file in (*config, loop, planner)}
    folders = run_folders(small)
    with held(cluster), snakemake(small, *ON_CLUSTER) as process:
        first, *_ = wait_for_jobs(small, cluster, "PENDING")
        small.edit("tiny.yaml", "[3e-5]", "[1e-1]")
        small.edit("tiny.yaml", "length: 600 steps", "length: 6 steps")
        small.edit(loop, "part.backward()", "(-part).backward()")
        small.append(planner, "\nsyntax error\n")
        release(cluster, first)
        wait_for_jobs(small, cluster, "COMPLETED", 1)
        for file in config:
            small.append(file, "\n]{ not YAML\n")
        release(cluster)
        status, output = ended(process)
    assert status == 0, output
    assert is_undisturbed(small, undisturbed)
    assert [len(events(folder, "started")) for folder in folders] == [1, 1]
    for file, text in before.items():
        (small.root / file).write_text(text)
    assert small.plan(*RUNS) == set()


def test_edited_rules_reach_no_job_unless_snakemakes_own_copy_is_lost(small, cluster, undisturbed, tmp_path):
    """Snakemake keeps a copy of Snakefile and rules for its jobs; without it they say what they cannot read."""
    cache = tmp_path / "cache"
    small = replace(small, environment={**small.environment, "XDG_CACHE_HOME": str(cache)})
    rules = small.root / "workflow/rules/finetune.smk"
    folders = run_folders(small)
    whole = rules.read_text()
    with held(cluster), snakemake(small, *ON_CLUSTER, "--retries", "0") as process:
        first, *_ = wait_for_jobs(small, cluster, "PENDING")
        rules.write_text(whole + "\n]\n")
        release(cluster, first)
        wait_for_jobs(small, cluster, "COMPLETED", 1)
        cache.rename(tmp_path / "lost")  # at once, whatever is being written there
        release(cluster)
        status, output = ended(process)
    assert status == 1
    assert "1 of 2 runs done" in output
    assert re.search('1 failed: the job could not read the workflow, [A-Za-z]+Error in file "Snakefile", line', output)
    rules.write_text(whole)
    small.finish("--profile", "slurm", *RUNS)
    assert is_undisturbed(small, undisturbed)
    assert [len(events(folder, "started")) for folder in folders] == [1, 1]


# --- file systems -----------------------------------------------------------------------------------------


@contextmanager
def hidden(folder: Path, *paths: Path):
    """Keep files and folders out of sight, as a file server does that shows them late; they come back at the end."""
    folder.mkdir()
    for number, path in enumerate(paths):
        path.rename(folder / str(number))
    try:
        yield
    finally:
        for number, path in enumerate(paths):
            (folder / str(number)).rename(path)


def hide_results(folder: Path, ended: threading.Event) -> None:
    """Hide what a run has written for three seconds as soon as the run has ended."""
    while not (folder / "finished").exists():
        if ended.wait(0.005):
            return
    results = [folder / name for name in read_json(folder / "finished/provenance.json")["results"]]
    with hidden(folder / "late", *results, folder / "provenance.json"):
        ended.wait(3)
    (folder / "late").rmdir()


def test_files_that_appear_late_are_waited_for(small, cluster, undisturbed):
    """Inputs, plan and specs that the node does not see yet, and results that the submitting machine does not see."""
    folder = keep_one_run(small)
    results = small.root / "results"
    done = threading.Event()
    watcher = threading.Thread(target=hide_results, args=(folder, done))
    with held(cluster), snakemake(small, *ON_CLUSTER) as process, ExitStack() as late:
        late.callback(watcher.join)
        late.callback(done.set)
        wait_for_jobs(small, cluster, "PENDING", 1)
        plan = max((results / "plans").iterdir(), key=lambda folder: folder.stat().st_mtime)
        inputs = [path for kind in ("tokens", "checkpoints") for path in results.glob(f"{kind}/*/*.*")]
        with hidden(small.root / "late", plan, results / f"specs/{folder.parent.name}.json", *inputs):
            release(cluster)
            wait_for_jobs(small, cluster, "RUNNING", 1)
            done.wait(8)
        watcher.start()
        status, output = ended(process)
    assert status == 0, output
    assert is_undisturbed(small, undisturbed, ONE_SEED)
    assert [event.event for event in events(folder)] == ["started", "finished"]


@pytest.fixture
def small_disk(small, require):
    """The folder of the runs on a disk of one megabyte."""
    disk = small.root / "results/runs"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    require(mount.returncode == 0, "no rights to mount a small disk: run the tests as root")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk to its last byte with a file."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space left"):
        while True:
            stream.write(b"x" * 512)
    return ballast


def is_whole(state: Path) -> bool:
    content = state.read_bytes()
    return hashlib.sha256(content[32:]).digest() == content[:32]


def test_a_full_disk_is_named_and_costs_nothing_that_was_saved(small, small_disk, cluster, undisturbed):
    add_gate(small)
    folder = keep_one_run(small)
    with snakemake(small, *ON_CLUSTER, "--retries", "0") as process:
        wait_for_saves([folder])
        ballast = fill(small_disk)
        open_gate(small)
        status, output = ended(process)
    assert status == 1
    assert "0 of 1 runs done, 0 running, 1 failed" in output
    assert re.search(r"1 failed: \w+.parquet could not be written: No space left on device; free space", output)
    assert is_whole(folder / "state/latest.pt") and is_whole(folder / "state/previous.pt")
    log = small.root / f"logs/finetune_run/{folder.parent.name}/{folder.name}.log"
    assert "could not be saved: " in log.read_text()
    assert "No space left on device" in small.by_hand("status", "tiny.yaml").stdout
    ballast.unlink()
    small.finish("--profile", "slurm", *RUNS)
    assert is_undisturbed(small, undisturbed, ONE_SEED)
    assert read_json(folder / "provenance.json")["resumed"] == 1


# --- one that cannot succeed ------------------------------------------------------------------------------


def test_the_others_finish_when_one_cannot(small, cluster, undisturbed):
    bad, good = run_folders(small)
    (bad / ".lock").mkdir(parents=True)
    failed = small.run("--profile", "slurm", *RUNS, "--retries", "0")
    assert failed.returncode == 1
    [job] = [job for job in jobs_of(small, cluster) if job.comment.endswith("_0")]  # of seed 0
    status = small.by_hand("status", "tiny.yaml").stdout
    for said in (failed.stdout, status):
        assert "1 of 2 runs done" in said
        assert "1 failed: " in said and ".lock" in said
        assert f"{bad.parent.name} seed 0  SLURM job {job.id}" in said
        assert f"logs/finetune_run/{bad.parent.name}/seed-0.log" in said
    assert read_json(good / "metrics.json")["seed"] == 1
    (bad / ".lock").rmdir()
    small.finish("--profile", "slurm", *RUNS)
    assert is_undisturbed(small, undisturbed)
    assert len(events(good, "started")) == 1
