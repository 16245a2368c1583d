"""Jobs whose Snakemake was killed, and their successors, which find the runs locked."""

import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossover.errors import UserError
from crossover.runs import lock
from crossover.runs.lock import exclusive, is_held, read_owner
from crossover.runtime.orphans import SlurmJob, cancel_own, cancel_pending_orphans, is_orphan, jobs_here, session_name


@pytest.fixture
def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@contextmanager
def living_process(*command: str) -> Iterator[subprocess.Popen]:
    """A process that says a line when it has started, and ends at a line."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "\n"
        yield process
        process.communicate("\n")


def named(process: int, host: str | None = None) -> SlurmJob:
    """A job that the Snakemake of that number has submitted."""
    prefix = session_name().removesuffix(f"-{os.getpid()}")
    prefix = f"crossover-{host}" if host else prefix
    return SlurmJob("1", "PENDING", f"{prefix}-{process}_0b5c2d4e-aaaa-bbbb-cccc-000000000000")


# --- whose jobs they are ------------------------------------------------------------------------------------


def test_jobs_of_a_dead_snakemake_are_orphans_and_those_of_a_living_one_are_not(ended):
    assert is_orphan(named(ended))
    assert not is_orphan(named(os.getpid()))
    with living_process(sys.executable, "-c", "print(flush=True); input()", "snakemake") as living:
        assert not is_orphan(named(living.pid))
    assert is_orphan(named(living.pid))


def test_a_number_that_belongs_to_another_program_now_is_no_snakemake():
    with living_process("sh", "-c", "echo; read line") as other:
        assert is_orphan(named(other.pid))


@pytest.mark.parametrize("name", ["", "snakejob", "crossover", "crossover-host-12", "0b5c2d4e-aaaa", "xcrossover-h-1_"])
def test_jobs_of_other_names_are_none_of_ours(name):
    assert not is_orphan(SlurmJob("1", "PENDING", name))


def test_what_lives_on_another_host_is_not_known(ended):
    assert not is_orphan(named(ended, host="elsewhere"))


@given(host=st.text(st.characters(codec="utf-8"), max_size=64))
def test_own_jobs_are_recognised_whatever_the_host_is_called(host):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: host)
        assert not is_orphan(SlurmJob("1", "PENDING", f"{session_name()}_uuid"))
        assert is_orphan(named(2**31 - 1))


# --- what becomes of them -----------------------------------------------------------------------------------


@pytest.fixture
def queue(command, tmp_path, monkeypatch):
    """Say which jobs, as id, state, name and folder, `squeue` shows; returns a function that tells what was cancelled."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cancelled").touch()
    command("scontrol", "echo 'Slurmctld(primary) at here is UP'")
    command("scancel", f'echo "$@" >>{tmp_path}/cancelled')

    def show(*jobs: tuple[str, SlurmJob, str]):
        lines = [f"{job.id}|{job.state}|{job.name}|{folder}" for job, folder in jobs]
        command("squeue", f"printf '%s\\n' {shlex.join(lines)}")
        return (tmp_path / "cancelled").read_text

    return show


def test_orphans_that_wait_are_cancelled_and_those_that_run_are_left_to_end(queue, tmp_path, ended):
    orphan, own = named(ended).name, named(os.getpid()).name
    cancelled = queue(
        (SlurmJob("11", "PENDING", orphan), tmp_path),
        (SlurmJob("12", "RUNNING", orphan), tmp_path),
        (SlurmJob("13", "PENDING", own), tmp_path),
        (SlurmJob("14", "PENDING", "another"), tmp_path),
        (SlurmJob("15", "PENDING", orphan), tmp_path / "elsewhere"),
        (SlurmJob("16", "PENDING", orphan), tmp_path),
    )
    first, second = cancel_pending_orphans()
    assert cancelled() == "--state=PENDING 11 16\n"  # one that starts at this moment is not touched
    assert first.startswith("2 jobs") and "cancelled" in first
    assert second.startswith("1 jobs") and "(12)" in second


def test_a_snakemake_that_ends_leaves_no_job_of_its_own(queue, tmp_path, ended):
    own = named(os.getpid()).name
    cancelled = queue(
        (SlurmJob("11", "PENDING", own), tmp_path),
        (SlurmJob("12", "RUNNING", own), tmp_path),
        (SlurmJob("13", "COMPLETING", own), tmp_path),
        (SlurmJob("14", "RUNNING", named(ended).name), tmp_path),
        (SlurmJob("15", "RUNNING", f"{session_name()}0_uuid"), tmp_path),
    )
    assert cancel_own() == ["2 jobs were still queued or running: cancelled."]
    assert cancelled() == "11 12\n"


def test_nothing_is_said_when_there_are_none(queue):
    cancelled = queue()
    assert (cancel_pending_orphans(), cancel_own(), cancelled()) == ([], [], "")


def test_folders_may_have_any_name(queue, tmp_path, monkeypatch):
    folder = tmp_path / "a | b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    job = SlurmJob("1", "RUNNING", "name")
    queue((job, folder))
    assert jobs_here() == [job]


# --- the lock that their runs hold --------------------------------------------------------------------------

OWNER = """
import sys
from pathlib import Path
from crossover.runs.lock import exclusive
with exclusive(Path(sys.argv[1]), "the run"):
    print("taken", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path, monkeypatch):
    """A process that holds the lock of a run, as a SLURM job does."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(lock, "LOOK_AGAIN", 0.01)
    command = [sys.executable, "-c", OWNER, str(tmp_path / ".lock")]
    environment = os.environ | {"SLURM_JOB_ID": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "taken\n"
        yield process


def test_outside_of_a_job_a_held_lock_is_refused(owner, tmp_path):
    with (
        pytest.raises(UserError, match=f"^the run is already being computed by SLURM job 7, process {owner.pid} on "),
        exclusive(tmp_path / ".lock", "the run"),
    ):
        raise AssertionError("two have it")


def test_in_a_job_a_held_lock_is_waited_for(owner, tmp_path, monkeypatch, caplog, eventually):
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    caplog.set_level("INFO", logger="crossover")
    taken, leave = threading.Event(), threading.Event()

    def wait() -> None:
        with exclusive(tmp_path / ".lock", "the run"):
            taken.set()
            leave.wait(60)

    successor = threading.Thread(target=wait)
    successor.start()
    try:
        eventually(lambda: "waiting for it" in caplog.text)
        assert not taken.is_set()
        owner.communicate()
        assert taken.wait(60)
        assert caplog.text.count("waiting for it") == 1
        assert read_owner(tmp_path / ".lock").slurm_job_id == "8"
        assert is_held(tmp_path / ".lock")
    finally:
        leave.set()
        owner.kill()
        successor.join()
    assert read_owner(tmp_path / ".lock") is None


def test_the_lock_of_a_killed_job_is_free_and_still_names_it(owner, tmp_path):
    owner.kill()
    owner.wait()
    assert not is_held(tmp_path / ".lock")
    assert read_owner(tmp_path / ".lock").slurm_job_id == "7"
    with exclusive(tmp_path / ".lock", "the run"):
        pass
