"""What planning a study costs, beside a bare Snakefile with as many jobs in a graph of the same shape.

python benchmarks/plan.py [--quick]     plans 1,000, 5,000 and 20,000 jobs, or with --quick 1,000 alone

Both are planned in this one run, one after the other, by `snakemake --dry-run --quiet` on fresh folders: nothing is computed,
and nothing is downloaded. CPU seconds are user and system time of the process, the smaller of two measurements; memory is its
peak. The bare Snakefile has what the graph needs and nothing else: for each job one output and one input per edge, without
params, logs, benchmarks, environments, resources or input functions. A run of ours has four outputs, a log and a benchmark.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from workflow_copy import CHECKPOINT, TASKS, fresh_copy, fresh_environment  # noqa: E402

SIZES = (1_000, 5_000, 20_000)
REPEATS = 2
TASK_COUNT = 10
SEEDS = (0, 1, 2, 3, 4)
CONDITION_COUNT = 14
JOBS_PER_CHECKPOINT = TASK_COUNT * CONDITION_COUNT * len(SEEDS) + 1

BARE = f"""\
CHECKPOINTS, TASKS, CONDITIONS = range(int(config["checkpoints"])), range({TASK_COUNT}), range({CONDITION_COUNT})
SEEDS = {[f"seed-{seed}" for seed in SEEDS]}


rule all:
    input: "report.txt"


rule dataset:
    output: "dataset.txt"
    shell: "touch {{output}}"


rule checkpoint:
    input: "dataset.txt"
    output: "checkpoints/{{checkpoint}}.txt"
    shell: "touch {{output}}"


rule task:
    output: "tasks/{{task}}.txt"
    shell: "touch {{output}}"


rule tokens:
    input: "tasks/{{task}}.txt"
    output: "tokens/{{task}}.txt"
    shell: "touch {{output}}"


rule run:
    input: "tokens/{{task}}.txt", "checkpoints/{{checkpoint}}.txt"
    output: "runs/{{task}}.{{checkpoint}}.{{condition}}/{{seed}}.txt"
    shell: "touch {{output}}"


rule baseline:
    input: "tokens/{{task}}.txt"
    output: "baselines/{{task}}.txt"
    shell: "touch {{output}}"


rule tables:
    input:
        expand("baselines/{{t}}.txt", t=TASKS),
        expand("runs/{{t}}.{{c}}.{{x}}/{{seed}}.txt", t=TASKS, c=CHECKPOINTS, x=CONDITIONS, seed=SEEDS),
    output: "tables.txt"
    shell: "touch {{output}}"


rule report:
    input: "tables.txt"
    output: "report.txt"
    shell: "touch {{output}}"
"""


@dataclass(frozen=True)
class Cost:
    """What one plan costs: seconds of CPU, and megabytes of memory at its peak."""

    seconds: float
    megabytes: float


def make_bare(folder: Path) -> None:
    """Write the bare Snakefile."""
    folder.mkdir()
    (folder / "Snakefile").write_text(BARE)


def make_studies(folder: Path, sizes: Iterable[int]) -> None:
    """Copy the workflow, with a study for each number of checkpoints: the same tasks and conditions on each of them."""
    copy = fresh_copy(folder)
    tasks, checkpoints = (folder / "config" / kind for kind in ("tasks", "checkpoints"))
    for number in range(TASK_COUNT):
        reader = f"sizes: {{train: {40 + number}, validation: 10, test: 14}}"
        text = re.sub("sizes: .*", reader, TASKS["tiny-xor"])
        (tasks / f"xor-{number}.yaml").write_text(text)
    conditions = yaml.safe_load((folder / "config" / "conditions.yaml").read_text())
    plain = {name: condition for name, condition in conditions.items() if "$" not in str(condition)}
    of_patches = [name for name, condition in plain.items() if "input" not in condition]
    for size in sizes:
        for number in range(size):
            (checkpoints / f"tiny-{number}.yaml").write_text(CHECKPOINT.replace("steps: 2", f"steps: {number + 1}"))
        study = {
            "title": "Large",
            "question": "How long does it take to plan?",
            "tasks": [f"xor-{number}" for number in range(TASK_COUNT)],
            "checkpoints": [f"tiny-{number}" for number in range(size)],
            "conditions": of_patches[:CONDITION_COUNT],
            "seeds": list(SEEDS),
            "training": {"learning_rates": [1e-4, 1e-3, 1e-2]},
        }
        (copy.root / f"large-{size}.yaml").write_text(yaml.safe_dump(study))


def plan(folder: Path, *arguments: str) -> tuple[Cost, str]:
    """Plan in a folder; return the cost, and what Snakemake said."""
    with tempfile.TemporaryFile("w+") as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--dry-run", *arguments],
            cwd=folder,
            env=fresh_environment(),
            stdout=terminal,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        terminal.seek(0)
        said = terminal.read()
    assert process.returncode == 0, said
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), said


def count(folder: Path, setting: str) -> int:
    """The number of jobs that are planned in a folder."""
    _, said = plan(folder, "--quiet", "rules", "host", "--config", setting)
    return int(re.findall(r"^total +(\d+)$", said, flags=re.MULTILINE)[-1])


def measure(folder: Path, setting: str) -> Cost:
    """The smallest cost of several plans: other processes on the machine only ever add to it."""
    costs = [plan(folder, "--quiet", "--config", setting)[0] for _ in range(REPEATS)]
    return Cost(min(cost.seconds for cost in costs), min(cost.megabytes for cost in costs))


def main() -> None:
    """Plan both at every size, and print them side by side."""
    sizes = SIZES[:1] if "--quick" in sys.argv[1:] else SIZES
    checkpoints = {size: round(size / JOBS_PER_CHECKPOINT) for size in sizes}
    with tempfile.TemporaryDirectory(prefix="plan-") as name:
        ours, bare = Path(name) / "ours", Path(name) / "bare"
        make_studies(ours, checkpoints.values())
        make_bare(bare)
        first = checkpoints[sizes[0]]
        jobs = [count(ours, f"study=large-{first}.yaml"), count(bare, f"checkpoints={first}")]
        assert jobs[0] == jobs[1], f"a study has {jobs[0]} jobs, the bare Snakefile {jobs[1]}"
        print(
            f"{'jobs':>8}{'CPU s':>10}{'bare':>8}{'ratio':>8}{'MB':>10}{'bare':>8}{'ms per job':>14}{'bare':>8}{'ratio':>8}"
        )
        before: tuple[int, Cost, Cost] | None = None
        for number in checkpoints.values():
            now = (
                jobs[0] + (number - first) * JOBS_PER_CHECKPOINT,
                measure(ours, f"study=large-{number}.yaml"),
                measure(bare, f"checkpoints={number}"),
            )
            print(row(now, before), flush=True)
            before = now


def row(now: tuple[int, Cost, Cost], before: tuple[int, Cost, Cost] | None) -> str:
    """A line of the table: what one size costs, and each job that it has more than the size before."""
    jobs, ours, bare = now
    line = f"{jobs:>8,}{ours.seconds:>10.1f}{bare.seconds:>8.1f}{ours.seconds / bare.seconds:>8.2f}"
    line += f"{ours.megabytes:>10.0f}{bare.megabytes:>8.0f}"
    if before:
        more = jobs - before[0]
        growth = [
            1000 * (cost.seconds - earlier.seconds) / more for cost, earlier in zip(now[1:], before[1:], strict=True)
        ]
        line += f"{growth[0]:>14.2f}{growth[1]:>8.2f}{growth[0] / growth[1]:>8.2f}"
    return line


if __name__ == "__main__":
    main()
