"""A copy of the workflow in a folder of its own, with a study so small that it runs in seconds."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import mido

ROOT = Path(__file__).parents[1]
PLANNING = Path(__file__).parent / "planning"
PARTS = ("Snakefile", "workflow", "config", "envs", "profiles", "slurm")
TIMEOUT = 900  # seconds; a run of the tiny study takes half a minute, on a cluster a few minutes

Job = tuple[str, str]  # rule, and what it makes in words that do not depend on hashes

TRAINING = """\
training:
  learning_rates: [1e-3, 1e-2]
  batch_size: 8
  length: 4 steps
  evaluate_every: 2 steps
  dropout: 0.0
"""
STUDY = f"""\
# A study that is computed in seconds.
title: Tiny
question: Does it work?
tasks: [tiny-xor, tunes]
checkpoints: [tiny]
conditions: [pretrained-frozen, random-all]
seeds: [0, 1]
{TRAINING}hardware:
  gpu: 0
  threads: 1
"""

TASKS = {
    "tiny-xor": """\
title: Tiny XOR
description: Strings of 3 bits.
domain: logic
licence: generated here
citation: none
reader:
  kind: bit-xor
  bits: 3
  sizes: {train: 40, validation: 10, test: 14}
target:
  kind: bits
  metric: accuracy
encoding:
  kind: patches
  patch: [1]
""",
    "tunes": """\
title: Tunes
description: A folder of the user's own.
domain: music
licence: CC0
citation: none
dataset:
  kind: folder
  name: tunes
  path: data/tunes
reader:
  kind: midi
  segment: 8
split:
  by: group
  validation: 0.25
  test: 0.25
target:
  kind: class
  metric: accuracy
encoding:
  kind: symbols
  alphabet: midi-pitch
  max_length: 8
""",
}

CHECKPOINT = """\
title: Tiny GPT-2
kind: pretrain
licence: PSF-2.0
corpus:
  kind: python-topics
  name: python-topics
architecture: gpt2
vocabulary: 259
blocks: 1
width: 8
heads: 2
positions: 16
training:
  context: 8
  batch_size: 2
  steps: 2
  learning_rate: 1e-3
"""


class PlanServer:
    """A process that plans in a moment, since it has imported Snakemake already."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PLANNING / "plan_server.py")],
            env=fresh_environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, folder: Path, arguments: Iterable[str]) -> tuple[int, str]:
        """Exit status and output of `snakemake --dry-run ARGUMENTS` in a folder."""
        jobs, terminal = folder / ".planned.jsonl", folder / ".planned.txt"
        jobs.unlink(missing_ok=True)
        logger = ["--logger", "planned-jobs", "--logger-planned-jobs-file", jobs]
        request = {
            "folder": folder,
            "arguments": [*arguments, "--dry-run", *logger],
            "jobs": jobs,
            "terminal": terminal,
        }
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request, default=str) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline()), terminal.read_text()

    def plan(
        self, folder: Path, study: str, arguments: Iterable[str]
    ) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
        """What `snakemake --config study=...` plans in a folder: its jobs, and the study's specs by name."""
        status, output = self.run(folder, [*arguments, "--config", f"study={study}"])
        assert status == 0, output
        jobs = folder / ".planned.jsonl"
        lines = jobs.read_text().splitlines() if jobs.exists() else []
        return [json.loads(line) for line in lines], json.loads(Path(f"{jobs}.specs").read_text())


@cache
def plan_server() -> PlanServer:
    """The one server of these tests; it ends with them, when its input is closed."""
    return PlanServer()


def fresh_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a fresh terminal in which the tests' own Python is active, with more variables or others."""
    of_tests = {"PYTHONPATH", "CROSSOVER_FORKSERVER", "OMP_NUM_THREADS"}
    inherited = {key: value for key, value in os.environ.items() if key not in of_tests}
    variables = inherited | {"TERM": "dumb"} | dict(more or {})
    return variables | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])}


@dataclass(frozen=True)
class WorkflowCopy:
    """The workflow's files, and what it has made, in a folder where a test may change anything.

    Attributes:
        root: the folder.
        environment: variables of the processes that are started in it, beside those of a fresh terminal.
    """

    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def study(self) -> Path:
        """The tiny study's file."""
        return self.root / "tiny.yaml"

    # --- Snakemake ------------------------------------------------------------------------------------

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen:
        """Start `snakemake` with these arguments in a process group of its own, as a terminal does."""
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.root,
            env=fresh_environment(self.environment),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )

    def run(self, *arguments: str, study: str = "tiny.yaml", **options: Any) -> subprocess.CompletedProcess:
        """`snakemake --config study=... ARGUMENTS`, waited for; output and errors are in `stdout`."""
        process = self.start(*arguments, "--config", f"study={study}", **options)
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def finish(self, *arguments: str, study: str = "tiny.yaml") -> str:
        """Run the workflow to its end; return what it said."""
        done = self.run(*arguments, study=study)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def plan(self, *arguments: str, study: str = "tiny.yaml") -> set[Job]:
        """The jobs that `snakemake --dry-run` plans, each as its rule and a readable name of what it makes.

        The target rule is left out.
        """
        jobs, specs = plan_server().plan(self.root, study, arguments)
        names = {name: _label(spec) for name, spec in specs.items()}
        jobs = [job for job in jobs if job["rule"] != "all"]
        found = {(job["rule"], _readable(job["wildcards"], names)) for job in jobs}
        assert len(found) == len(jobs), "two jobs have one readable name"
        return found

    def try_plan(self, *arguments: str) -> tuple[int, str]:
        """Exit status and output of a dry run that may be refused."""
        return plan_server().run(self.root, arguments)

    def as_cluster_job(self, rule: str, **wildcards: str) -> subprocess.CompletedProcess:
        """What a cluster executor starts for one job: a Snakemake that reads the config as it is now."""
        target = f"{rule}:" + ",".join(f"{name}={value}" for name, value in wildcards.items())
        arguments = ["--cores", "1", "--target-jobs", target, "--allowed-rules", rule, "--mode", "remote", "--force"]
        return self.run(*arguments, "--nolock", "--no-hooks", "--ignore-incomplete", "--nocolor")

    def named(self, label: str, kind: str = "run") -> str:
        """The name, with its hash, of the one spec of that kind in the tiny study that has this readable name."""
        _, specs = plan_server().plan(self.root, "tiny.yaml", ())
        [name] = [name for name, spec in specs.items() if spec["kind"] == kind and _label(spec) == label]
        return name

    def by_hand(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess:
        """`crossover ARGUMENTS`, without Snakemake; output and errors are in `stdout`."""
        return subprocess.run(
            [sys.executable, "-m", "crossover", *arguments],
            cwd=self.root,
            env=fresh_environment(self.environment) | {"PYTHONPATH": str(self.root / "workflow")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
            **options,
        )

    # --- edits ----------------------------------------------------------------------------------------

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that occurs exactly once in a file."""
        file = self.root / path
        content = file.read_text(encoding="utf-8")
        assert content.count(old) == 1, f"{old!r} occurs {content.count(old)} times in {path}"
        file.write_text(content.replace(old, new), encoding="utf-8")

    def append(self, path: str, text: str) -> None:
        """Add text to the end of a file that is there."""
        file = self.root / path
        file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")

    def run_folder(self, run: str, seed: int) -> Path:
        """The folder of a run by its readable name."""
        return self.root / "results" / "runs" / self.named(run) / f"seed-{seed}"

    def copy(self, target: Path) -> "WorkflowCopy":
        """All of it in another folder, with the times of its files."""
        shutil.copytree(self.root, target, symlinks=True)
        return replace(self, root=target)


def fresh_copy(root: Path) -> WorkflowCopy:
    """The workflow's own files and the tiny study in an empty folder."""
    for part in PARTS:
        source = ROOT / part
        if source.is_symlink():
            (root / part).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif source.exists():
            (root / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, root / part)
    copy = WorkflowCopy(root)
    copy.study.write_text(STUDY)
    for name, text in TASKS.items():
        (root / "config" / "tasks" / f"{name}.yaml").write_text(text)
    (root / "config" / "checkpoints" / "tiny.yaml").write_text(CHECKPOINT)
    for label, lowest in (("high", 70), ("low", 40)):
        for piece in range(6):
            write_tune(root / "data" / "tunes" / label / f"{piece}.mid", lowest, piece)
    return copy


def results(copy: WorkflowCopy) -> dict[str, bytes]:
    """What the runs of a copy found, and its tables, by file: everything but where, when and at what cost."""
    folder = copy.root / "results"
    kinds = ("metrics.json", "curve.parquet", "predictions.parquet")
    found = [path for path in folder.glob("runs/*/*/*") if path.name in kinds]
    found += [
        path for path in folder.glob("studies/*/*") if path.suffix in {".csv", ".parquet"} and path.stem != "costs"
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def write_tune(path: Path, lowest: int, piece: int, notes: int = 48) -> None:
    """A tune that differs from every other piece."""
    track = mido.MidiTrack()
    for step in range(notes):
        pitch = lowest + (step * (piece + 1) + piece) % 13
        track.append(mido.Message("note_on", note=pitch, velocity=64, time=0))
        track.append(mido.Message("note_off", note=pitch, velocity=64, time=96))
    path.parent.mkdir(parents=True, exist_ok=True)
    mido.MidiFile(tracks=[track]).save(path)


def runs(cells: Iterable[str], seeds: Iterable[int] = (0, 1)) -> set[Job]:
    """The jobs of whole cells: one for each seed."""
    return {("finetune_run", f"{cell}/seed-{seed}") for cell in cells for seed in seeds}


def baselines(tasks: Iterable[str] = ("tiny-xor", "tunes"), seeds: Iterable[int] = (0,)) -> set[Job]:
    """The jobs of the baselines of tasks."""
    return {("fit_baselines", f"{task}-baseline/seed-{seed}") for task in tasks for seed in seeds}


CELLS = [f"{task}.tiny.{condition}" for task in TASKS for condition in ("pretrained-frozen", "random-all")]
REPORT: set[Job] = {("aggregate_study", "tiny"), ("render_report", "tiny")}


def wait_for(condition: Any, seconds: float = 60) -> None:
    """Wait until `condition()` is true; what takes long to find out is asked less often."""
    end = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if condition():
            return
        assert asked < end, "waited in vain"
        time.sleep(max(0.02, 5 * (time.monotonic() - asked)))


def _label(spec: dict[str, Any]) -> str:
    stem = spec["name"].rsplit("-", 1)[0]
    if spec["kind"] == "study":
        return spec["study"]
    return stem


def _readable(wildcards: dict[str, str], names: dict[str, str]) -> str:
    values = [value for key, value in wildcards.items() if key != "seed"]
    parts = [names.get(".".join(values), "/".join(values))] if values else []
    parts += [f"seed-{wildcards['seed']}"] if "seed" in wildcards else []
    return "/".join(parts)
