"""A study of one cell whose tokens and checkpoint are there, so that a test on a cluster computes nothing but its runs.

They learn too little to stop early, and last seconds.
"""

import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster import Cluster, Job

from crossover.runs.events import Event, read_events
from workflow_copy import TIMEOUT, WorkflowCopy, fresh_copy, results, wait_for

CELL = "tiny-xor.tiny.random-all"
ONE_SEED = (0,)
SEEDS = (0, 1)
RUNS = ("--until", "finetune_run")
TABLES = ("--until", "aggregate_study")
ON_CLUSTER = ("--profile", "slurm", *RUNS, "--config", "study=tiny.yaml")
# Appended to crossover/runs/events.py, which is in no hash: a run that has saved twice waits for a file `go`.
GATE = """

_record, _saved = record, []


def record(folder, event, **facts):
    _record(folder, event, **facts)
    _saved.extend([event] if event == "saved" else [])
    while len(_saved) == 2 and not Path("go").exists():
        __import__("time").sleep(0.05)
"""
EDITS = {
    "tasks: [tiny-xor, tunes]": "tasks: [tiny-xor]",
    "conditions: [pretrained-frozen, random-all]": "conditions: [random-all]",
    "learning_rates: [1e-3, 1e-2]": "learning_rates: [3e-5]",
    "length: 4 steps": "length: 600 steps",
    "evaluate_every: 2 steps": "evaluate_every: 20 steps\n  patience: 100",
}


def prepared_copy(root: Path) -> WorkflowCopy:
    """The workflow with the small study, computed up to its tokens, its checkpoint and its baseline."""
    copy = fresh_copy(root)
    for old, new in EDITS.items():
        copy.edit("tiny.yaml", old, new)
    copy.finish("--cores", "2", "inputs")
    copy.finish("--cores", "2", "--until", "fit_baselines")
    return copy


def keep_one_run(copy: WorkflowCopy) -> Path:
    """Leave all seeds but the first out of the study; return the folder of its run."""
    copy.edit("tiny.yaml", f"seeds: {list(SEEDS)}", f"seeds: {list(ONE_SEED)}")
    [folder] = run_folders(copy, ONE_SEED)
    return folder


def run_folders(copy: WorkflowCopy, seeds: Iterable[int] = SEEDS) -> list[Path]:
    """The folders of the runs, one for each seed; to be asked for while the config is whole."""
    run = copy.root / "results" / "runs" / copy.named(CELL)
    return [run / f"seed-{seed}" for seed in seeds]


def jobs_of(copy: WorkflowCopy, cluster: Cluster, state: str | None = None) -> list[Job]:
    """The SLURM jobs that were submitted from a copy, perhaps only those in one state."""
    return [job for job in cluster.jobs() if job.workdir == str(copy.root) and state in (None, job.state)]


@contextmanager
def held(cluster: Cluster) -> Iterator[None]:
    """Keep the jobs of runs waiting in the queue until they are released."""
    cluster.run("scontrol", "update", "partitionname=gpu", "state=down")
    try:
        yield
    finally:
        release(cluster)


def release(cluster: Cluster, job: Job | None = None) -> None:
    """Let all jobs that are held start, or only one."""
    if job:
        cluster.run("scontrol", "update", f"jobid={job.id}", "partition=cpu")
    else:
        cluster.run("scontrol", "update", "partitionname=gpu", "state=up")


@contextmanager
def snakemake(copy: WorkflowCopy, *arguments: str) -> Iterator[subprocess.Popen]:
    """A Snakemake that is killed, should it still run when the block ends."""
    process = copy.start(*arguments)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Wait for a Snakemake; return its exit status, and what it said."""
    output, _ = process.communicate(timeout=TIMEOUT)
    return process.returncode, output


def wait_for_jobs(copy: WorkflowCopy, cluster: Cluster, state: str, number: int = len(SEEDS)) -> list[Job]:
    """Wait until so many jobs of a copy are in a state; return them."""
    wait_for(lambda: len(jobs_of(copy, cluster, state)) >= number, 180)
    return jobs_of(copy, cluster, state)


def add_gate(copy: WorkflowCopy) -> None:
    """Let runs save often, and wait after their second save until `open_gate`."""
    copy.append("workflow/crossover/runs/events.py", GATE)
    copy.edit("workflow/rules/finetune.smk", 'finetune-run"', 'finetune-run --save-every 0.05"')


def open_gate(copy: WorkflowCopy) -> None:
    """Let the runs go on."""
    (copy.root / "go").touch()


def events(folder: Path, *kinds: str) -> list[Event]:
    """The events of a run, perhaps only those of some kinds."""
    return [event for event in read_events(folder) if event.event in kinds or not kinds]


def wait_for_saves(folders: Iterable[Path]) -> None:
    """Wait until all runs stand at the gate."""
    for folder in folders:
        wait_for(lambda: len(events(folder, "saved")) == 2, 180)  # noqa: B023


def is_undisturbed(copy: WorkflowCopy, undisturbed: dict[str, bytes], seeds: Iterable[int] = SEEDS) -> bool:
    """Whether the runs with these seeds, and no others, are there and found what they find when left alone.

    So must the tables of all seeds, where tables have been made.
    """
    found, runs = results(copy), {f"seed-{seed}" for seed in seeds}
    if any(path.startswith("studies/") for path in found):
        runs.add("tiny")
    return found == {path: content for path, content in undisturbed.items() if Path(path).parent.name in runs}
