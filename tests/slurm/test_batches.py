"""Many small runs in one SLURM job: batches, and a whole study inside one allocation."""

import subprocess
import sys

import pytest
from small_study import (
    ALL_SEEDS,
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

BATCH = ("--profile", "slurm", "--groups", "finetune_run=runs", "--group-components", "runs=4")


@pytest.fixture
def four(small):
    """The small study with four seeds."""
    small.edit("tiny.yaml", f"seeds: {list(SEEDS)}", f"seeds: {list(ALL_SEEDS)}")
    return small


def happened(folders) -> list[list[str]]:
    """The kinds of the events of each run, but for saves."""
    return [[event.event for event in events(folder) if event.event != "saved"] for folder in folders]


def test_a_batch_and_the_tables_are_what_one_machine_computes(four, cluster, undisturbed):
    four.finish(*BATCH, *TABLES)
    assert is_undisturbed(four, undisturbed, ALL_SEEDS)
    batch, aggregation = jobs_of(four, cluster)
    assert (batch.state, aggregation.state) == ("COMPLETED", "COMPLETED")


def test_a_run_that_fails_does_not_keep_its_batch_from_computing_the_others(four, cluster, undisturbed):
    """The first run cannot be computed: the others are computed once, and kept."""
    bad, *good = folders = run_folders(four, ALL_SEEDS)
    (bad / ".lock").mkdir(parents=True)
    failed = four.run(*BATCH, *RUNS, "--retries", "1")
    assert failed.returncode == 1
    assert "3 of 4 runs done" in failed.stdout, failed.stdout
    twice = ["started", "finished", "job failed", "to be retried", "restored", "job failed"]
    assert happened(good) == [twice] * 3
    assert is_undisturbed(four, undisturbed, ALL_SEEDS[1:])
    (bad / ".lock").rmdir()
    four.finish(*BATCH, *RUNS)
    assert is_undisturbed(four, undisturbed, ALL_SEEDS)
    assert sum(kinds.count("started") for kinds in happened(folders)) == 4


def test_a_batch_that_is_cancelled_goes_on_where_it_was(four, cluster, undisturbed):
    add_gate(four)
    folders = run_folders(four, ALL_SEEDS)
    with snakemake(four, *BATCH, *RUNS, "--config", "study=tiny.yaml") as process:
        wait_for(lambda: any(len(events(folder, "saved")) == 2 for folder in folders), 180)
        [batch] = jobs_of(four, cluster)
        cluster.run("scancel", str(batch.id))
        wait_for(lambda: len(jobs_of(four, cluster)) == 2, 180)
        open_gate(four)
        status, output = ended(process)
    assert status == 0, output
    assert is_undisturbed(four, undisturbed, ALL_SEEDS)
    assert any(events(folder, "resumed") for folder in folders)


def test_a_whole_study_runs_inside_one_allocation(four, cluster, undisturbed):
    """The local executor inside an allocation: nothing is submitted, and the runs fork from one process."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *RUNS, "--config", "study=tiny.yaml"]
    options = ["--parsable", "--cpus-per-task=2", "--mem=4000", f"--chdir={four.root}", "--output=one-job.log"]
    environment = fresh_environment(four.environment)
    wrapped = ["sbatch", *options, f"--wrap={' '.join(command)}"]
    number = int(subprocess.run(wrapped, env=environment, capture_output=True, text=True, check=True).stdout)
    wait_for(lambda: [job for job in jobs_of(four, cluster) if job.state not in ("PENDING", "RUNNING")], 300)
    [job] = jobs_of(four, cluster)
    assert (job.id, job.state) == (number, "COMPLETED"), (four.root / "one-job.log").read_text()
    assert is_undisturbed(four, undisturbed, ALL_SEEDS)
