"""`crossover doctor` on a real cluster."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workflow_copy import TIMEOUT, WorkflowCopy, fresh_environment, wait_for


@pytest.fixture
def environment(fresh, cluster) -> dict[str, str]:
    """A terminal of the cluster's user in the workflow's folder."""
    binaries = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), cluster.environment["PATH"]])}
    package = {"PYTHONPATH": str(fresh.root / "workflow"), "COLUMNS": "100"}
    return fresh_environment() | dict(cluster.environment) | binaries | package


@pytest.fixture
def start(fresh, environment) -> Callable[..., subprocess.Popen]:
    def run(*arguments: str, **variables: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "crossover", "doctor", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=fresh.root, env=environment | variables, **pipes)

    return run


@pytest.fixture
def doctor(start) -> Callable[..., tuple[int, str]]:
    """Run it to its end; give its exit status and output, without the line breaks inside a finding."""

    def run(*arguments: str, **variables: str) -> tuple[int, str]:
        process = start(*arguments, **variables)
        output, errors = process.communicate(timeout=TIMEOUT)
        return process.returncode, re.sub(r"\n {20}(?!->)", " ", output + errors)

    return run


@contextmanager
def filled(environment: dict[str, str]) -> Iterator[None]:
    """The partition cpu, with every node taken by a job of somebody else."""
    command = ["sbatch", "--parsable", "--partition=cpu", "--mem=16000", "--output=/dev/null", "--wrap=sleep 600"]
    jobs = [ask(environment, *command).strip() for _ in range(2)]
    try:
        wait_for(lambda: ask(environment, "squeue", "-h", "-t", "R", "-o", "%i", "-j", ",".join(jobs)).count("\n") == 2)
        yield
    finally:
        ask(environment, "scancel", *jobs)


def ask(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def probes(environment: dict[str, str], states: str) -> list[str]:
    """The states of the doctor's jobs."""
    found = ask(environment, "squeue", "--noheader", "--name=crossover-doctor", f"--states={states}", "--format=%T")
    return found.split()


def leftovers(fresh: WorkflowCopy) -> list[str]:
    return [path.name for path in fresh.root.iterdir() if path.name.startswith(".crossover-doctor-")]


def test_doctor_finds_nothing_wrong_with_a_good_cluster(doctor, fresh, environment, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    status, output = doctor(CROSSOVER_PARTITION="cpu", CROSSOVER_GPU_PARTITION="gpu", TMPDIR=str(scratch))
    assert status == 0, output
    assert re.search(r"ok +scheduler +SLURM \S+; \d+ nodes: \d+ up", output)
    assert re.search(r"ok +gpu request +--gpus=1 is accepted in gpu, as runs ask; --gres=gpu:1 too", output)
    for partition, host in (("cpu", "n[12]"), ("gpu, with a GPU", "g1")):
        section = output.split(f"A job in partition {partition}\n")[1].split("\n\n")[0] + "\n"
        assert re.search(rf"ok +probe job +job \d+ was \d+ s in the queue, and ran on {host}\n", section), section
        assert re.search(r"ok +node +Python .*, torch .*", section), section
        assert re.search(r"ok +shared files +a file to \S+ and its answer took [\d.]+ s", section), section
        assert re.search(rf"ok +scratch +\d+ GB free in {scratch}\n", section), section
        assert re.search(r"ok +locks +a lock that is held here is held on", section), section
    assert "CUDA_VISIBLE_DEVICES is 0" in output
    assert not leftovers(fresh)
    assert not set(probes(environment, "all")) - {"COMPLETED"}


def test_a_gpu_request_in_a_form_that_is_refused_is_named(doctor):
    status, output = doctor("--no-jobs", CROSSOVER_GPU_PARTITION="gpu", CROSSOVER_GRES="gpu:no-such-model:1")
    assert "--gres=gpu:no-such-model:1, as runs ask, is refused in gpu" in output
    assert "-> unset CROSSOVER_GRES" in output
    assert status == 0, "the study asks for no GPU"


def test_a_partition_that_is_not_there_is_named_with_the_nearest(doctor):
    status, output = doctor("--no-jobs", CROSSOVER_PARTITION="cpux")
    assert status == 1
    assert re.search(r"FAIL +partition +there is no partition cpux; did you mean cpu\?\n +-> export", output), output
    assert "1 check failed" in output


def test_a_probe_job_that_waits_too_long_is_cancelled(doctor, fresh, environment):
    with filled(environment):
        status, output = doctor("--wait", "2", CROSSOVER_PARTITION="cpu")
    assert status == 0, output
    assert re.search(r"warn +probe job +job \d+ still waited after 2 s and was cancelled; SLURM's reason: \w+", output)
    assert "-> if that reason will pass: crossover doctor --wait 600" in output
    assert "CANCELLED" in probes(environment, "all")
    assert not leftovers(fresh)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing_behind(start, fresh, environment, stop):
    with filled(environment):
        process = start(CROSSOVER_PARTITION="cpu")
        wait_for(lambda: probes(environment, "PENDING"))
        assert leftovers(fresh)
        time.sleep(0.5)  # it is watching now
        process.send_signal(stop)
        process.communicate(timeout=60)
        assert process.returncode == 130
        assert not probes(environment, "PENDING")
    assert not leftovers(fresh)


def test_a_slurm_conf_that_job_steps_do_not_get_is_named(doctor, cluster, environment):
    """SLURM_CONF alone: the submitting side knows the cluster, the step of a job does not."""
    system = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    status, output = doctor(PATH=system)
    assert status == 1
    assert "SLURM's commands need SLURM_CONF here, which steps of jobs do not get" in output
    assert "its log ends with: srun: fatal: Could not establish a configuration source" in output
    assert "-> SLURM_CONF does not reach steps of jobs" in output
