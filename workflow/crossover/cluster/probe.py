"""The submitting side of a probe job: it finds out on a node what a study's runs would find there."""

import contextlib
import fcntl
import shlex
import socket
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from crossover import export_path
from crossover.cluster.findings import Finding
from crossover.cluster.node import (
    HERE,
    LOCK,
    PATIENCE,
    REPORT,
    ROUNDS,
    NodeReport,
    answer_name,
    arrived,
    ask_name,
    hub_identity,
)
from crossover.cluster.placement import job_options
from crossover.cluster.profile import Profile
from crossover.cluster.scheduler import NO_CONFIGURATION
from crossover.files import read_json
from crossover.slurm import Job, ask, ask_job

LOG = "log"
NO_LOG = "it has left no log here"
PREFIX = ".crossover-doctor-"
PAUSE = 0.1  # seconds between two looks at the folder
QUERY_PAUSE = 2  # seconds between two questions to the scheduler
# As in Snakemake's jobs: the command is a step of the job, SLURM_CONF is taken out of its environment, and TMPDIR is the
# user's, not this process's own folder in it.
SCRIPT = """\
#!/bin/sh
unset SLURM_CONF
[ -z "$TMPDIR" ] || export TMPDIR="${TMPDIR%/crossover-*}"
exec srun -n1 --cpu-bind=q --cpus-per-task=1 --nodes=1 "$@"
"""

Watch = Generator[None, None, list[Finding]]


class Lost(Exception):  # noqa: N818  it is no error of the program
    """The probe cannot go on; its finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


@dataclass
class Probe:
    """A probe job that was submitted."""

    partition: str
    job_id: str
    folder: Path
    on_gpu: bool
    _job: Job = field(default_factory=lambda: Job("PENDING", "", None))
    _asked: float = 0

    def job(self) -> Job:
        """Return its state, at most a few seconds old."""
        if not self._job.has_ended and time.monotonic() > self._asked + QUERY_PAUSE:
            self._asked = time.monotonic()
            self._job = ask_job(self.job_id) or self._job
        return self._job

    def cancel(self) -> None:
        """End it, unless it has ended."""
        if not self._job.has_ended:
            ask("scancel", self.job_id)
            self._job = Job("CANCELLED", "", None)

    def last_words(self) -> str:
        """Return the last line of its log that says more than that something went wrong."""
        with contextlib.suppress(OSError):
            lines = (self.folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
            telling = [line.strip() for line in lines if line.strip() and "Exited with exit code" not in line]
            return f"its log ends with: {telling[-1]}" if telling else "its log is empty"
        return NO_LOG


def run_probes(
    profile: Profile, requests: list[tuple[str, str | None]], wait: float
) -> list[tuple[str, list[Finding]]]:
    """Submit the probe jobs, watch them together, and leave nothing behind.

    Args:
        profile: account and other options of a run's job, and the latency that Snakemake allows for.
        requests: of each job the partition, and the option that asks for a GPU, or None.
        wait: seconds to wait in the queue.

    Returns:
        For each job its partition and what was found.
    """
    export_path()
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=".", ignore_cleanup_errors=True) as name:
        probes: list[Probe] = []
        watches: dict[str, Watch] = {}
        found: dict[str, list[Finding]] = {}
        titles = [f"{partition}, with a GPU" if gpu else partition for partition, gpu in requests]
        try:
            for title, (partition, gpu) in zip(titles, requests, strict=True):
                probe = submit(profile, partition, gpu, Path(name) / str(titles.index(title)))
                if isinstance(probe, Finding):
                    found[title] = [probe]
                    continue
                probes.append(probe)
                watches[title] = watch(probe, wait, profile.options["latency_wait"])
                print(f"job {probe.job_id} waits for partition {title} ...", file=sys.stderr, flush=True)
            while len(found) < len(requests):
                for title in watches.keys() - found.keys():
                    try:
                        next(watches[title])
                    except StopIteration as end:
                        found[title] = end.value
                time.sleep(PAUSE)
        finally:
            for watching in watches.values():
                watching.close()
            for probe in probes:
                probe.cancel()
        return sorted(found.items(), key=lambda item: titles.index(item[0]))


def submit(profile: Profile, partition: str, gpu: str | None, folder: Path) -> Probe | Finding:
    """Submit one probe job, which speaks through files in `folder`."""
    folder.mkdir()
    script = folder / "probe.sh"
    script.write_text(SCRIPT, encoding="utf-8")
    options = [*job_options(profile, partition), *([gpu] if gpu else ["--ntasks=1"])]
    log = str(folder / LOG).replace("%", "%%")  # sbatch puts numbers and names for % and a letter
    answer = ask(
        *("sbatch", "--parsable", "--export=ALL", "--job-name=crossover-doctor", f"--output={log}"),
        *options,
        *(str(script), sys.executable, "-m", "crossover", "doctor-probe", str(folder)),
    )
    job_id = answer.out.strip().partition(";")[0]
    if answer.status or not job_id.isdigit():
        change = f"{shlex.join(['sbatch', '--test-only', *options, '--wrap=true'])}, until it is accepted"
        return Finding("FAIL", "probe job", f"refused: {answer.words}", change)
    return Probe(partition, job_id, folder, gpu is not None)


def watch(probe: Probe, wait: float, latency_wait: int) -> Watch:
    """Follow one probe job to its end, in small steps; cancel it when the watching ends early."""
    try:
        with (probe.folder / LOCK).open("w") as stream:
            _lock(stream)
            job = yield from _start(probe, wait)
            trip = yield from _round_trips(probe)
            yield from _await(probe, REPORT)
            report = NodeReport.parse(read_json(probe.folder / REPORT), probe.folder / REPORT)
            while not probe.job().has_ended:  # else it would still write into the folder that is removed
                yield
    except Lost as lost:
        return [lost.finding]
    finally:
        probe.cancel()
    queued = "a time unknown" if job.queued_seconds is None else f"{job.queued_seconds:,.0f} s"
    text = f"job {probe.job_id} was {queued} in the queue, and ran on {report.node}"
    return [Finding("ok", "probe job", text), *judge(report, trip, latency_wait, probe.on_gpu)]


def _lock(stream: IO[str]) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:  # ENOLCK, ENOTSUP
        text = f"this file system has no locks ({error.strerror}): runs could not start"
        change = "work on another file system, or have it mounted with locks (Lustre: -o flock)"
        raise Lost(Finding("FAIL", "locks", text, change)) from error


def _start(probe: Probe, wait: float) -> Generator[None, None, Job]:
    """Until the job has started and its first file is seen."""
    patience = time.monotonic() + wait
    while (job := probe.job()).waits:
        if time.monotonic() > patience:
            text = f"job {probe.job_id} still waited after {wait:g} s and was cancelled; SLURM's reason: {job.reason}"
            change = f"if that reason will pass: crossover doctor --wait {max(wait * 4, 600):g}"
            raise Lost(Finding("warn", "probe job", text, change))
        yield
    yield from _await(probe, HERE)
    return job


def _await(probe: Probe, name: str) -> Generator[None, None, None]:
    """Until a file of the node is seen here."""
    patience = time.monotonic() + PATIENCE
    while not arrived(probe.folder, name):
        job = probe.job()
        if job.has_ended and job.state != "COMPLETED":
            raise Lost(judge_end(probe.job_id, job.state, probe.last_words()))
        if time.monotonic() > patience:
            text = f"job {probe.job_id} ran, but nothing it wrote was seen here within {PATIENCE} s"
            raise Lost(Finding("FAIL", "probe job", text, "work in a folder on a file system that all nodes share"))
        yield


def _round_trips(probe: Probe) -> Generator[None, None, float]:
    """Return the longest time in seconds that a file took to the node, with the answer back; no clocks are compared."""
    longest = 0.0
    for number in range(ROUNDS):
        sent = time.monotonic()
        (probe.folder / ask_name(number)).touch()
        yield from _await(probe, answer_name(number))
        longest = max(longest, time.monotonic() - sent)
    return longest


# --- what it means ----------------------------------------------------------------------------------------


def judge_end(job_id: str, state: str, last_words: str) -> Finding:
    """Say what a probe job that failed means, by the last line of its log."""
    if NO_LOG in last_words:
        change = f"nodes must see {Path.cwd()}: work in a folder on a file system that all nodes share"
    elif "No such file or directory" in last_words:
        change = f"nodes must see {sys.prefix}: make the environment on a file system that all nodes share"
    elif "configuration source" in last_words:
        change = f"SLURM_CONF does not reach steps of jobs: {NO_CONFIGURATION}"
    else:
        change = "every job of a study would end like this: put right what its log says"
    return Finding("FAIL", "probe job", f"job {job_id} ended as {state}; {last_words}", change)


def judge(report: NodeReport, trip: float, latency_wait: int, on_gpu: bool) -> list[Finding]:
    """Say what a node's report means for a study.

    Args:
        report: what `crossover.cluster.node` wrote.
        trip: seconds of the slowest round trip of a file.
        latency_wait: seconds that Snakemake waits for the files of a finished job.
        on_gpu: whether the job asked for a GPU.
    """
    return [
        _judge_python(report),
        *([_judge_gpu(report)] if on_gpu else []),
        _judge_files(report, trip, latency_wait),
        _judge_lock(report),
        _judge_scratch(report),
        *_judge_hub(report),
    ]


def _judge_python(report: NodeReport) -> Finding:
    torch = report.torch
    text = f"Python {report.python}, "
    if torch.error:
        text += f"but torch cannot be imported: {torch.error}"
        return Finding("FAIL", "node", text, f"in a job: {report.executable} -c 'import torch'")
    text += f"torch {torch.version}; sees {report.cpus} CPU, asked for 1"
    if report.called is None or Path(report.called).parent != Path(report.executable).parent:
        text += f"; but the rules call `python`, which is {report.called or 'not there'} in a job"
        change = "activate the environment before snakemake; no start-up file of the shell may put another one first"
        return Finding("FAIL", "node", text, change)
    return Finding("ok", "node", text)


def _judge_gpu(report: NodeReport) -> Finding:
    torch, given = report.torch, report.visible_devices
    if gpu := torch.gpu:
        text = f"{gpu.name}, {gpu.memory_gb:.0f} GB; CUDA_VISIBLE_DEVICES is {given}"
        return Finding("ok", "gpu", text)
    text = f"the job was given a GPU (CUDA_VISIBLE_DEVICES is {given}), but torch sees none: runs would use the CPU"
    if torch.cuda:
        change = f"nvidia-smi in a job shows the driver; torch {torch.version} needs one for CUDA {torch.cuda}"
        return Finding("warn", "gpu", text, change)
    change = f"torch {torch.version} is a build for CPUs: install the CUDA build of the same version"
    return Finding("warn", "gpu", text, change)


def _judge_files(report: NodeReport, trip: float, latency_wait: int) -> Finding:
    text = f"a file to {report.node} and its answer took {trip:.1f} s at most (latency-wait is {latency_wait} s)"
    if trip > latency_wait:
        change = f"latency-wait: {2 * int(trip + 1)} in profiles/slurm/profile.yaml"
        return Finding("warn", "shared files", text, change)
    return Finding("ok", "shared files", text)


def _judge_lock(report: NodeReport) -> Finding:
    if report.lock == "held":
        alone = report.host == socket.gethostname()
        note = "; it is this machine, so this says nothing of others" if alone else ""
        return Finding("ok", "locks", f"a lock that is held here is held on {report.node}{note}")
    text = f"locks do not reach other nodes: on {report.node} a lock that is held here is {report.lock}"
    change = "start runs by jobs alone, which ask SLURM instead; on Lustre, have it mounted with -o flock"
    return Finding("warn", "locks", text, change)


def _judge_scratch(report: NodeReport) -> Finding:
    text = f"{report.scratch_gb:,.0f} GB free in {report.scratch}"
    if report.scratch_gb < 1:
        return Finding("warn", "scratch", text, "export TMPDIR=a folder with space on the nodes")
    return Finding("ok", "scratch", text)


def _judge_hub(report: NodeReport) -> list[Finding]:
    here = hub_identity()
    if here is None or here == report.hub:
        return []
    text = f"{here.path} is another folder on {report.node}, or is not there: checkpoints would not be found"
    return [Finding("warn", "hub cache", text, "export HF_HOME=a folder on a file system that all nodes share")]
