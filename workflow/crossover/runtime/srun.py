"""Inside a SLURM job, run a training as a job step of its own.

SLURM signals a job's steps before the time limit, at a cancellation and at a preemption. On clusters that track
processes by cgroup only the task that `srun` started gets the signal; between it and a run stands Snakemake, which keeps
the signal to itself. As a step of its own the run hears it and saves its state.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence

INSIDE = "CROSSOVER_STEP"  # set in the step, so that it does not start another


def become_step(argv: Sequence[str]) -> None:
    """Replace this process by `srun crossover ARGV` when it is in a SLURM job; else return.

    The step overlaps the one around it: it has the same CPUs, memory and GPUs.

    Args:
        argv: the arguments of `crossover`; `--threads` is the number of CPUs of the step.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or os.environ.get(INSIDE) == job or not shutil.which("srun"):  # no srun: in a container
        return
    os.environ[INSIDE] = job
    node = os.environ.get("SLURMD_NODENAME")
    place = [f"--nodelist={node}"] if node else []
    size = ["--nodes=1", "--ntasks=1", f"--cpus-per-task={_threads(argv)}", "--cpu-bind=none"]
    command = ["srun", "--overlap", *size, *place, sys.executable, "-m", "crossover", *argv]
    sys.stdout.flush()
    os.execvp("srun", command)


def _threads(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="crossover", add_help=False, allow_abbrev=False)
    parser.add_argument("--threads", type=int, default=1)
    return int(parser.parse_known_args(argv)[0].threads)
