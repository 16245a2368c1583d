"""What schedulers and users do to a running study: it ends with the results of one that was left alone, bit for bit.

A run is caught in the act by its lock and its log, and then stopped (SIGSTOP), so that however slow or fast this machine
is, the mishap hits a run that has done some steps. SLURM wakes a stopped job before it asks it to end.
"""

import os
import re
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from getpass import getuser
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, Job
from processes import send
from small_study import ONE_SEED, RUNS, SEEDS, is_undisturbed, jobs_of, keep_one_run, run_folders

from crossover.runs.events import Event, read_events
from crossover.runs.lock import Owner, is_held, read_owner
from workflow_copy import TIMEOUT, WorkflowCopy, wait_for

PATIENCE = 300  # seconds that a condition may take on a machine that does other things too

# --- the study ----------------------------------------------------------------------------------------------


@pytest.fixture
def check(undisturbed) -> Callable[..., None]:
    """Check that a study has ended as one that was left alone, and that no run was computed twice, or by two at once."""

    def compare(copy: WorkflowCopy, seeds: Iterable[int] = SEEDS) -> None:
        assert is_undisturbed(copy, undisturbed, seeds)
        for folder in copy.root.glob("results/runs/*/*"):
            assert_one_at_a_time(folder)
            assert events(folder).count("finished") == 1, "computed twice"

    return compare


def assert_one_at_a_time(folder: Path) -> None:
    """Nothing is heard of a process any more once another one has taken the run over."""
    said_by_snakemake = {"job failed", "to be retried"}
    history = [entry for entry in read_events(folder) if entry.event not in said_by_snakemake]
    speakers = [(entry.host, entry.pid) for entry in history]
    assert len(list(groupby(speakers))) == len(set(speakers)), history


def entries(folder: Path) -> list[Event]:
    """What has happened to a run, but for the saves of one that goes on: a slow machine has some, a minute apart."""
    every = read_events(folder)
    followed = [after.event for after in every[1:]] + ["" for _ in every[-1:]]
    return [entry for entry, after in zip(every, followed, strict=True) if entry.event != "saved" or after == "stopped"]


def events(folder: Path) -> list[str]:
    """The same in words."""
    return [entry.event for entry in entries(folder)]


def assert_resumed_where_saved(folder: Path) -> None:
    """The run has saved its state when it was asked to end, and went on from there."""
    (saved, before), (resumed, after) = [
        (entry.event, entry.step) for entry in entries(folder) if entry.step is not None
    ]
    assert (saved, resumed) == ("saved", "resumed") and before == after > 0


# --- Snakemake and the cluster --------------------------------------------------------------------------------


@pytest.fixture
def study(prepared, tmp_path, mishaps, submitting) -> Iterator[WorkflowCopy]:
    """The study where Snakemake submits to that cluster, and where none of its jobs is left when the test is done."""
    yield on_nodes("cpu", submitting(prepared.copy(tmp_path / "workflow"), mishaps))
    mishaps.run("scancel", "--user", getuser())
    wait_for(lambda: not mishaps.run("squeue", "--noheader"), PATIENCE)


def on_nodes(partition: str, copy: WorkflowCopy) -> WorkflowCopy:
    """A copy whose runs go to a partition: `cpu` has two nodes, `gpu` has one, with one GPU."""
    return replace(copy, environment={**copy.environment, "CROSSOVER_GPU_PARTITION": partition})


class Submission:
    """`snakemake --profile slurm` at work, and what it has said so far."""

    def __init__(self, copy: WorkflowCopy, *arguments: str) -> None:
        self.process = copy.start("--profile", "slurm", *RUNS, *arguments, "--config", "study=tiny.yaml")
        self.lines: list[str] = []
        self._reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout or ()))
        self._reader.start()

    @property
    def output(self) -> str:
        """What it has said."""
        return "".join(self.lines)

    def wait_for(self, pattern: str) -> None:
        """Wait until it says something."""
        wait_for(lambda: re.search(pattern, self.output), PATIENCE)

    def ended(self) -> int:
        """Wait for its end; return its exit status."""
        status = self.process.wait(TIMEOUT)
        self._reader.join()
        return status

    def finish(self) -> None:
        """Wait until it has succeeded."""
        assert self.ended() == 0, self.output

    def signal(self, number: int) -> None:
        """Send a signal to it and all that it has started here, as a terminal does."""
        os.killpg(self.process.pid, number)


@pytest.fixture
def submit() -> Iterator[Callable[..., Submission]]:
    """Start `snakemake --profile slurm` in a copy; the test done, it is gone."""
    started: list[Submission] = []

    def start(*arguments: Any) -> Submission:
        started.append(Submission(*arguments))
        return started[-1]

    yield start
    for submission in started:
        if submission.process.poll() is None:
            submission.signal(signal.SIGKILL)
        submission.ended()


def caught(*runs: Path, attempt: int = 1) -> list[Owner]:
    """Stop each of some runs when its attempt of that number has done some steps; return the owners of their locks."""
    owners: dict[Path, Owner] = {}

    def all_stopped() -> bool:
        for folder in [folder for folder in runs if folder not in owners]:
            if events(folder).count("started") == attempt and said(folder).count(" step ") > 1:
                owner = read_owner(folder / ".lock")
                assert owner and "finished" not in events(folder), "too late"
                os.kill(owner.pid, signal.SIGSTOP)
                owners[folder] = owner
        return len(owners) == len(runs)

    wait_for(all_stopped, PATIENCE)
    return [owners[folder] for folder in runs]


def said(folder: Path) -> str:
    """The log of a run's present attempt."""
    log = folder.parents[3] / "logs" / "finetune_run" / folder.parent.name / f"{folder.name}.log"
    try:
        return log.read_text()
    except FileNotFoundError:  # Snakemake has removed it before the next attempt
        return ""


def release(*owners: Owner) -> None:
    """Let stopped runs go on."""
    for owner in owners:
        os.kill(owner.pid, signal.SIGCONT)


def states(copy: WorkflowCopy, cluster: Cluster) -> dict[str, int]:
    """How many jobs of a copy are in which state."""
    return Counter(job.state for job in jobs_of(copy, cluster))


def job_of(owner: Owner, cluster: Cluster) -> Job:
    """The job of a run."""
    [job] = [job for job in cluster.jobs() if job.id == int(owner.slurm_job_id)]
    return job


# --- jobs that end too early --------------------------------------------------------------------------------


def test_runs_that_hit_the_time_limit_or_are_cancelled_go_on_where_they_saved(study, mishaps, submit, check):
    """Both give a run a few seconds, in which it saves its state; the next attempt goes on from there."""
    runs = run_folders(study)
    submission = submit(study)
    limited, cancelled = caught(*runs)
    mishaps.run("scontrol", "update", f"jobid={limited.slurm_job_id}", "endtime=now")
    mishaps.run("scancel", cancelled.slurm_job_id)
    submission.finish()
    check(study)
    assert states(study, mishaps) == {"TIMEOUT": 1, "CANCELLED": 1, "COMPLETED": 2}
    for folder, words in zip(runs, ("the time limit was reached", "the job was cancelled"), strict=True):
        assert_resumed_where_saved(folder)
        first = ["started", "saved", "stopped", "job failed", "to be retried"]
        assert events(folder) == [*first, "started", "resumed", "finished"]
        [failure] = [entry.reason for entry in read_events(folder) if entry.event == "job failed"]
        assert words in failure


def test_a_run_goes_on_after_preemption_and_after_the_death_of_its_node(study, mishaps, submit, check):
    """The job goes back to the queue both times, and no retry is used up."""
    run = keep_one_run(study)
    submission = submit(study)
    [owner] = caught(run)
    node = job_of(owner, mishaps).node
    mishaps.run("sbatch", "--partition=prio", "--exclusive", f"--nodelist={node}", "--output=/dev/null", "--wrap=true")
    [owner] = caught(run, attempt=2)
    job = job_of(owner, mishaps)
    mishaps.kill_node(job.node, with_jobs=True)
    try:
        submission.finish()
    finally:
        mishaps.revive_node(job.node)
    check(study, ONE_SEED)
    assert events(run) == ["started", "saved", "stopped", *["started", "resumed"] * 2, "finished"]
    assert all(entry.step > 0 for entry in read_events(run) if entry.step is not None)
    assert states(study, mishaps) == {"COMPLETED": 1}
    assert {one.restarts for one in jobs_of(study, mishaps) if one.id == job.id} == {2}


def test_a_run_on_a_node_that_is_cut_off_is_not_computed_twice(study, mishaps, submit, check):
    """SLURM takes it for dead and starts its jobs elsewhere, but they live on: their twins wait for their results."""
    run = keep_one_run(study)
    submission = submit(study)
    [owner] = caught(run)
    job = job_of(owner, mishaps)
    mishaps.kill_node(job.node)
    try:
        wait_for(lambda: "waiting for it" in said(run), PATIENCE)
        assert is_held(run / ".lock")
        release(owner)
        submission.finish()
    finally:
        mishaps.revive_node(job.node)
    check(study, ONE_SEED)
    assert events(run) == ["started", "finished", "restored"]
    assert {one.restarts for one in jobs_of(study, mishaps) if one.id == job.id} == {1}


def test_a_run_out_of_memory_is_tried_again_with_more(prepared, tmp_path, accounting, submitting, submit, undisturbed):
    study = submitting(prepared.copy(tmp_path / "workflow"), accounting)
    study.edit("tiny.yaml", "threads: 1", "threads: 1\n  memory_mb: 350")
    run = keep_one_run(study)
    submit(study, "--retries", "1").finish()
    assert is_undisturbed(study, undisturbed, ONE_SEED)
    [failure] = [entry.reason for entry in read_events(run) if entry.event == "job failed"]
    assert failure.startswith("out of memory; raise hardware.memory_mb")


# --- a scheduler that does not answer -----------------------------------------------------------------------


def test_submissions_and_jobs_wait_for_a_controller_that_is_away(study, mishaps, submit, check, tmp_path):
    """Submissions wait for it; jobs go on without it, and how they ended is asked until there is an answer."""
    away, asked, submitting, stopped = (tmp_path / name for name in ("away", "asked", "submitting", "stopped"))
    second = f'[ "$1" = ping ] && [ "$(echo >> {asked}; wc -l < {asked})" = 2 ]'  # before a submission; the first is at the start
    copy = with_commands(
        study,
        tmp_path,
        squeue=fails_while(away),
        scontrol=f"if {second}; then touch {submitting}; until [ -e {stopped} ]; do sleep 0.1; done; fi",
    )
    run = keep_one_run(study)
    submission = submit(copy, *IMPATIENT)
    wait_for(submitting.exists, PATIENCE)
    mishaps.stop_controller()
    try:
        stopped.touch()
        submission.wait_for("nothing is submitted until it does")
    finally:
        mishaps.start_controller()
    [owner] = caught(run)
    away.touch()
    submission.wait_for("SLURM has not answered for 1[0-9] s")
    away.unlink()
    mishaps.stop_controller()
    try:
        release(owner)
        submission.wait_for("SLURM has not answered for [1-9][0-9] s")
        wait_for(lambda: "finished" in events(run), PATIENCE)
    finally:
        mishaps.start_controller()
    submission.finish()
    check(study, ONE_SEED)
    assert states(study, mishaps) == {"COMPLETED": 1}


def test_the_end_of_jobs_is_known_after_accounting_was_away(prepared, tmp_path, accounting, submitting, submit, check):
    """The same where sacct is asked, which has words of its own for a cancellation."""
    study = submitting(prepared.copy(tmp_path / "workflow"), accounting)
    away = tmp_path / "away"
    copy = with_commands(study, tmp_path, sacct=fails_while(away))
    runs = run_folders(study)
    submission = submit(copy, *IMPATIENT, "--slurm-status-command", "sacct")
    owners = caught(*runs)
    away.touch()
    accounting.run("scancel", owners[0].slurm_job_id)
    submission.wait_for("SLURM has not answered for 1[0-9] s")
    accounting.stop_database()
    accounting.stop_controller()
    away.unlink()
    release(owners[1])
    wait_for(lambda: "finished" in events(runs[1]), PATIENCE)
    accounting.start_controller()
    accounting.start_database()
    submission.finish()
    check(study)
    assert_resumed_where_saved(runs[0])
    assert states(study, accounting) == {"CANCELLED": 1, "COMPLETED": 2}


# Without patience of our own, five failed questions in as many seconds are enough to lose every job.
IMPATIENT = ("--slurm-status-attempts", "5")


def with_commands(copy: WorkflowCopy, folder: Path, **scripts: str) -> WorkflowCopy:
    """A copy in which some commands run a script first."""
    commands = folder / "commands"
    commands.mkdir()
    for name, script in scripts.items():
        real = shutil.which(name, path=copy.environment["PATH"])
        (commands / name).write_text(f'#!/bin/sh\n{script}\nexec {real} "$@"\n')
        (commands / name).chmod(0o755)
    path = os.pathsep.join([str(commands), copy.environment["PATH"]])
    return replace(copy, environment={**copy.environment, "PATH": path})


def fails_while(file: Path) -> str:
    """The script of a command that fails as long as a file exists."""
    return f"if [ -e {file} ]; then echo no answer >&2; exit 1; fi"


# --- a Snakemake that ends too early ------------------------------------------------------------------------


def test_a_run_goes_on_after_ctrl_c_and_after_a_power_cut(study, mishaps, submit, check, tmp_path):
    """Ctrl-C cancels the jobs, which save their state; a power cut ends everything in the middle of a step."""
    away = tmp_path / "away"
    run = keep_one_run(study)
    first = submit(with_commands(study, tmp_path, squeue=fails_while(away)))
    caught(run)
    away.touch()
    first.wait_for("SLURM has not answered")
    away.unlink()
    first.signal(signal.SIGINT)  # while it asks for their states, the plugin knows of no jobs to cancel
    assert first.ended() != 0
    second = submit(study)
    caught(run, attempt=2)
    second.signal(signal.SIGKILL)
    send(signal.SIGKILL, [process for process in mishaps.processes() if "SLURM_JOB_ID" in process.environment])
    second.ended()
    study.finish("--unlock")
    submit(study).finish()
    check(study, ONE_SEED)
    assert events(run) == ["started", "saved", "stopped", *["started", "resumed"] * 2, "finished"]


def test_jobs_of_a_killed_snakemake_are_cancelled_or_taken_over(study, mishaps, submit, check):
    """The job that waits is cancelled; the one that runs ends, and its result is taken over."""
    study.edit("tiny.yaml", "gpu: 0", "gpu: 1")
    study = on_nodes("gpu", study)  # with one GPU: the other run waits
    runs = run_folders(study)
    first = submit(study)
    wait_for(lambda: any(map(events, runs)), PATIENCE)
    waiting, running = sorted(runs, key=lambda folder: len(events(folder)))
    [owner] = caught(running)
    wait_for(lambda: states(study, mishaps) == {"RUNNING": 1, "PENDING": 1}, PATIENCE)
    first.signal(signal.SIGKILL)
    first.ended()
    study.finish("--unlock")
    mishaps.stop_controller()  # which alone knows the jobs
    second = submit(study)
    try:
        second.wait_for("nothing is submitted until it does")
    finally:
        mishaps.start_controller()
    second.wait_for("1 jobs of an earlier Snakemake that was killed waited in the queue: cancelled")
    second.wait_for(f"still run and are left to end .{owner.slurm_job_id}.")
    wait_for(lambda: states(study, mishaps) == {"RUNNING": 1, "PENDING": 2, "CANCELLED": 1}, PATIENCE)
    release(owner)
    second.finish()
    check(study)
    assert events(running) == ["started", "finished", "restored"]
    assert events(waiting) == ["started", "finished"]
