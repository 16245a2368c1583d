"""What a small run costs on a cluster: alone in its job, in a batch of eight, and in one job that computes the whole study.

python benchmarks/batches.py [RUNS]     starts a SLURM cluster on this machine, and computes RUNS (16) runs in each way

CPU seconds are those that SLURM's accounting counted for the jobs, and those of the processes that runs were forked from,
which it does not count because nobody waits for them; wall is the time from the first start to the last end.
Two runs are computed side by side, but those of a batch one after the other. They are so small that starting them is nearly
all that they cost.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("workflow", "tests", "tests/slurm")]

from cluster import Cluster  # noqa: E402
from configuration import PARTITIONS, QUICK  # noqa: E402
from processes import processes  # noqa: E402
from small_study import RUNS, SEEDS, prepared_copy  # noqa: E402

from workflow_copy import TIMEOUT, WorkflowCopy, fresh_environment, wait_for  # noqa: E402


def job_for_each_run(copy: WorkflowCopy) -> None:
    """Submit each run by itself."""
    copy.finish("--profile", "slurm", "--jobs", "2", *RUNS)


def batches_of_eight(copy: WorkflowCopy) -> None:
    """Submit eight runs at a time; they run one after the other."""
    groups = ("--groups", "finetune_run=runs", "--group-components", "runs=8")
    copy.finish("--profile", "slurm", "--jobs", "1", *groups, *RUNS)


def study_in_one_job(copy: WorkflowCopy) -> None:
    """Submit one Snakemake that computes everything with the local executor."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *RUNS, "--config", "study=tiny.yaml"]
    options = ["--cpus-per-task=2", "--mem=8000", f"--chdir={copy.root}", "--output=one-job.log"]
    environment = fresh_environment(copy.environment)
    subprocess.run(
        ["sbatch", *options, f"--wrap={shlex.join(command)}"], env=environment, check=True, capture_output=True
    )
    log = copy.root / "one-job.log"
    wait_for(lambda: log.exists() and "Elapsed time" in log.read_text(), TIMEOUT)


def measure(
    way: Callable[[WorkflowCopy], None], copy: WorkflowCopy, cluster: Cluster, runs: int
) -> tuple[float, float]:
    """CPU seconds and seconds of wall per run."""
    before = accounted(cluster)
    with forking() as servers:
        way(copy)
    done = list(copy.root.glob("results/runs/*/*/metrics.json"))
    assert len(done) == runs, f"{len(done)} of {runs} runs are done"
    wait_for(lambda: "Unknown" not in str(accounted(cluster)))
    jobs = [row for row in accounted(cluster) if row not in before and "." not in row[0]]
    starts, ends = ([datetime.fromisoformat(job[place]).timestamp() for job in jobs] for place in (2, 3))
    cpu = sum(seconds(job[1]) for job in jobs) + sum(servers.values())
    return cpu / runs, (max(ends) - min(starts)) / runs


def accounted(cluster: Cluster) -> list[list[str]]:
    """Number, TotalCPU, start and end of each job and of its steps; without the steps sacct gives no TotalCPU."""
    columns = ["--noheader", "--parsable2", "--format=JobID,TotalCPU,Start,End"]
    return [line.split("|") for line in cluster.run("sacct", *columns).splitlines()]


@contextmanager
def forking() -> Iterator[dict[int, float]]:
    """CPU seconds, by process, of the processes in SLURM jobs that fork runs, and of these runs; asked for while they live."""
    found: dict[int, float] = {}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.25):
            for process in processes():
                if "serve-forks" in process.command and "SLURM_JOB_ID" in process.environment:
                    with suppress(OSError):
                        fields = Path(f"/proc/{process.number}/stat").read_text().rpartition(") ")[2].split()
                        found[process.number] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def seconds(text: str) -> float:
    """A duration as sacct writes it: [[days-]hours:]minutes:seconds."""
    days, _, rest = text.rpartition("-")
    parts = [float(part) for part in rest.split(":")]
    return 86400 * int(days or 0) + sum(part * 60**place for place, part in enumerate(reversed(parts)))


def main() -> None:
    """Measure the three ways, one after the other."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    with tempfile.TemporaryDirectory(prefix="batches-") as name:
        folder = Path(name)
        prepared = prepared_copy(folder / "prepared")
        prepared.edit("tiny.yaml", f"seeds: {list(SEEDS)}", f"seeds: {list(range(runs))}")
        costs = {}
        with Cluster.start(folder / "cluster", accounting=True) as cluster:
            environment = cluster.environment | PARTITIONS | QUICK
            for way in (job_for_each_run, batches_of_eight, study_in_one_job):
                copy = replace(prepared.copy(folder / way.__name__), environment=environment)
                costs[way.__name__] = measure(way, copy, cluster, runs)
    best = costs["job_for_each_run"][0]
    print(f"{runs} runs{'CPU s per run':>30}{'wall s per run':>16}{'CPU, share':>12}")
    for name, (cpu, wall) in costs.items():
        print(f"{name.replace('_', ' '):<24}{cpu:>13.1f}{wall:>16.1f}{cpu / best:>12.2f}")


if __name__ == "__main__":
    main()
