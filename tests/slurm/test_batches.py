"""Many small runs in one SLURM job: batches, and a whole study inside one allocation."""

import subprocess
import sys
from collections import Counter

from small_study import (
    RUNS,
    SEEDS,
    TABLES,
    add_gate,
    ended,
    events,
    is_undisturbed,
    jobs_of,
    open_gate,
    run_folders,
    snakemake,
)

from workflow_copy import fresh_environment, wait_for

BATCH = ("--profile", "slurm", "--groups", "finetune_run=runs", "--group-components", "runs=2")


def happened(folders) -> list[list[str]]:
    """The kinds of the events of each run, but for saves."""
    return [[event.event for event in events(folder) if event.event != "saved"] for folder in folders]


def test_a_run_that_fails_does_not_keep_its_batch_from_computing_the_other(small, cluster, undisturbed):
    """The first run cannot be computed: the other is computed once, and kept."""
    bad, *good = folders = run_folders(small)
    (bad / ".lock").mkdir(parents=True)
    failed = small.run(*BATCH, *RUNS, "--retries", "1")
    assert failed.returncode == 1
    assert "1 of 2 runs done" in failed.stdout, failed.stdout
    twice = ["started", "finished", "job failed", "to be retried", "restored", "job failed"]
    assert happened(good) == [twice]
    assert is_undisturbed(small, undisturbed, SEEDS[1:])
    (bad / ".lock").rmdir()
    small.finish(*BATCH, *RUNS)
    assert is_undisturbed(small, undisturbed)
    assert sum(kinds.count("started") for kinds in happened(folders)) == 2


def test_a_batch_that_is_cancelled_goes_on_where_it_was_and_the_tables_are_those_of_one_machine(
    small, cluster, undisturbed
):
    add_gate(small)
    folders = run_folders(small)
    with snakemake(small, *BATCH, *TABLES, "--config", "study=tiny.yaml") as process:
        wait_for(lambda: any(len(events(folder, "saved")) == 2 for folder in folders), 180)
        [batch] = jobs_of(small, cluster)
        cluster.run("scancel", str(batch.id))
        wait_for(lambda: len(jobs_of(small, cluster)) == 2, 180)
        open_gate(small)
        status, output = ended(process)
    assert status == 0, output
    assert is_undisturbed(small, undisturbed)
    assert any(events(folder, "resumed") for folder in folders)
    assert Counter(job.state for job in jobs_of(small, cluster)) == {"CANCELLED": 1, "COMPLETED": 2}


def test_a_whole_study_runs_inside_one_allocation(small, cluster, undisturbed):
    """The local executor inside an allocation: nothing is submitted, and the runs fork from one process."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *RUNS, "--config", "study=tiny.yaml"]
    options = ["--parsable", "--cpus-per-task=2", "--mem=4000", f"--chdir={small.root}", "--output=one-job.log"]
    environment = fresh_environment(small.environment)
    wrapped = ["sbatch", *options, f"--wrap={' '.join(command)}"]
    number = int(subprocess.run(wrapped, env=environment, capture_output=True, text=True, check=True).stdout)
    wait_for(lambda: [job for job in jobs_of(small, cluster) if job.state not in ("PENDING", "RUNNING")], 300)
    [job] = jobs_of(small, cluster)
    assert (job.id, job.state) == (number, "COMPLETED"), (small.root / "one-job.log").read_text()
    assert is_undisturbed(small, undisturbed)
