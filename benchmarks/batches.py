"""What a small run costs on a cluster: alone in its job, in a batch of eight, and in one job that computes the whole study.

python benchmarks/batches.py [RUNS]     starts a SLURM cluster on this machine, and computes RUNS (16) runs in each way

CPU seconds are those that SLURM's accounting counted for the jobs; wall is the time from the first start to the last end.
Two runs are computed side by side, and they are so small that starting them is nearly all that they cost.
"""

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("workflow", "tests", "tests/slurm")]

from cluster import Cluster  # noqa: E402
from small_study import SEEDS, prepared_copy  # noqa: E402

from workflow_copy import WorkflowCopy, fresh_environment  # noqa: E402

RUNS_ALONE = ("--until", "finetune_run")
QUICK = {"PYTHONPATH": str(ROOT / "tests/slurm/quick"), "SNAKEMAKE_POLL": "1"}
PARTITIONS = {"CROSSOVER_PARTITION": "cpu", "CROSSOVER_GPU_PARTITION": "gpu"}


def job_for_each_run(copy: WorkflowCopy) -> None:
    """Submit each run by itself."""
    copy.finish("--profile", "slurm", "--jobs", "2", *RUNS_ALONE)


def batches_of_eight(copy: WorkflowCopy) -> None:
    """Submit eight runs at a time; members run side by side as far as the job's CPUs go."""
    groups = ("--groups", "finetune_run=runs", "--group-components", "runs=8")
    copy.finish("--profile", "slurm", "--jobs", "1", *groups, *RUNS_ALONE)


def study_in_one_job(copy: WorkflowCopy) -> None:
    """Submit one Snakemake that computes everything with the local executor."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *RUNS_ALONE, "--config", "study=tiny.yaml"]
    options = ["--wait", "--cpus-per-task=2", "--mem=8000", f"--chdir={copy.root}", "--output=one-job.log"]
    environment = fresh_environment(copy.environment)
    subprocess.run(["sbatch", *options, f"--wrap={shlex.join(command)}"], env=environment, check=True, stdout=2)


def measure(
    way: Callable[[WorkflowCopy], None], copy: WorkflowCopy, cluster: Cluster, runs: int
) -> tuple[float, float]:
    """CPU seconds and seconds of wall per run."""
    before = len(accounted(cluster))
    way(copy)
    done = list(copy.root.glob("results/runs/*/*/metrics.json"))
    assert len(done) == runs, f"{len(done)} of {runs} runs are done"
    jobs = accounted(cluster)[before:]
    starts, ends = ([datetime.fromisoformat(job[place]).timestamp() for job in jobs] for place in (1, 2))
    return sum(seconds(job[0]) for job in jobs) / runs, (max(ends) - min(starts)) / runs


def accounted(cluster: Cluster) -> list[list[str]]:
    """TotalCPU, start and end of each job that has ended."""
    columns = ["--noheader", "--parsable2", "--allocations", "--format=TotalCPU,Start,End"]
    return [line.split("|") for line in cluster.run("sacct", *columns).splitlines()]


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
