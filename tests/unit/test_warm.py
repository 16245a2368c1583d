import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import environment, finetune, renamed, results, start

from crossover.files import read_json, read_sealed_json, write_json
from crossover.runs.events import read_events
from crossover.runs.lock import is_held, read_owner


@pytest.fixture
def spec(tiny, tmp_path) -> Path:
    """The spec of a run of a second."""
    write_json(tmp_path / "spec.json", tiny.spec(training={"dropout": 0.1}))
    return tmp_path / "spec.json"


@pytest.fixture
def endless(tiny, tmp_path) -> Path:
    """The spec of a run that takes longer than any test waits."""
    write_json(tmp_path / "endless.json", tiny.spec(training={"max_steps": 20_000, "patience": 20_000}))
    return tmp_path / "endless.json"


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def owner_of(lock: Path) -> int:
    """The process that holds a lock."""
    owner = read_owner(lock)
    assert owner
    return owner["pid"]


def test_the_results_are_those_of_a_process_of_its_own(spec, tmp_path, warm):
    """That process finds the socket named but nobody there, and imports for itself."""
    cold = finetune(spec, tmp_path / "cold", env=environment(CROSSOVER_WARM=str(tmp_path / "nobody")))
    forked = finetune(spec, tmp_path / "warm", env=warm)
    assert (forked.wait(60), cold.wait(60)) == (0, 0)
    assert results(tmp_path / "warm") == results(tmp_path / "cold")
    one, other = (read_sealed_json(tmp_path / name / "provenance.json") for name in ("warm", "cold"))
    for facts in (one, other):
        assert facts["command"].startswith(f"crossover finetune-run --spec {spec} --seed 0 ")
    assert {key for key in one if one[key] != other[key]} <= {
        *("started", "ended", "seconds", "cpu_seconds", "peak_memory_mb", "command"),
    }


def test_the_run_is_forked_and_has_the_folder_and_environment_of_its_command(spec, tiny, tmp_path, warm):
    """A path relative to the command's folder works, and a variable of the command reaches the run."""
    process = finetune(
        os.path.relpath(spec), tmp_path / "out", env=warm | {"SLURM_JOB_ID": "77", "CROSSOVER_STEP": "77"}
    )
    assert process.wait(60) == 0
    assert read_json(tmp_path / "out/provenance.json")["slurm_job_id"] == "77"
    assert read_events(tmp_path / "out")[-1]["pid"] != process.pid


def test_output_and_failure_pass_through(spec, tmp_path, warm):
    good = finetune(spec, tmp_path / "good", env=warm)
    _, said = good.communicate(timeout=60)
    assert "step 20/20" in said, "without --log, the log goes to the terminal of the command"
    assert good.returncode == 0
    bad = finetune(tmp_path / "nowhere.json", tmp_path / "bad", env=warm)
    _, said = bad.communicate(timeout=60)
    assert said.splitlines()[-1] == f"crossover: {tmp_path}/nowhere.json is missing; run snakemake to make it."
    assert bad.returncode == 1


def test_an_exception_shows_its_traceback_and_fails(spec, tmp_path, warm):
    whole = read_json(spec)
    write_json(tmp_path / "broken.json", renamed(whole, training={"dropout": None}))
    process = finetune(tmp_path / "broken.json", tmp_path / "out", env=warm)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" in said
    assert "KeyError: 'precision'" in said


def test_a_request_to_end_is_passed_on(endless, tmp_path, warm, eventually):
    process = finetune(endless, tmp_path / "out", "--log", tmp_path / "log", env=warm)
    eventually(lambda: (tmp_path / "log").exists() and "step 5/" in (tmp_path / "log").read_text())
    process.terminate()
    assert process.wait(60) == 143
    assert (tmp_path / "out/state/latest.pt").exists()
    assert not is_held(tmp_path / "out/.lock")


def test_a_run_that_is_killed_is_reported_by_its_signal(endless, tmp_path, warm, eventually):
    process, lock = finetune(endless, tmp_path / "out", "--log", tmp_path / "log", env=warm), tmp_path / "out/.lock"
    eventually(lambda: lock.exists() and lock.read_text())
    os.kill(owner_of(lock), signal.SIGKILL)
    assert process.wait(60) == 128 + signal.SIGKILL


def test_a_command_that_is_killed_takes_its_run_along(endless, spec, tmp_path, warm, eventually):
    process, lock = finetune(endless, tmp_path / "out", "--log", tmp_path / "log", env=warm), tmp_path / "out/.lock"
    eventually(lambda: lock.exists() and lock.read_text())
    assert is_held(lock)
    process.kill()
    process.wait()
    eventually(lambda: not is_held(lock), 20)
    assert not alive(owner_of(lock))
    assert finetune(spec, tmp_path / "next", env=warm).wait(60) == 0, "the warm process goes on"


OWNER = """
import subprocess, sys, time
server = subprocess.Popen([sys.executable, "-m", "crossover", "serve-warm", sys.argv[1]])
print(server.pid, flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def own():
    """Start a process that starts a warm process and sleeps; a function that returns it and the warm one's number."""
    servers = []

    def start_owner(socket: Path, seconds: float) -> tuple[subprocess.Popen, int]:
        command = [sys.executable, "-c", OWNER, str(socket), str(seconds)]
        owner = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        servers.append(int(owner.stdout.readline()))
        return owner, servers[-1]

    yield start_owner
    for server in filter(alive, servers):  # after a failure
        os.kill(server, signal.SIGKILL)


def test_the_warm_process_ends_after_its_owner_and_the_last_run(own, endless, tmp_path, eventually):
    socket = tmp_path / "socket"
    owner, server = own(socket, 1000)
    hasty, too_late = own(tmp_path / "other", 2)  # it ends while the other still imports
    hasty.wait(20)
    eventually(socket.exists)
    process = finetune(
        endless, tmp_path / "out", "--log", tmp_path / "log", env=environment(CROSSOVER_WARM=str(socket))
    )
    lock = tmp_path / "out/.lock"
    eventually(lambda: lock.exists() and lock.read_text())
    os.kill(server, signal.SIGINT)  # Ctrl-C is for the runs and for Snakemake
    owner.kill()
    owner.wait()
    eventually(lambda: not alive(too_late), 30)
    assert not (tmp_path / "other").exists()
    assert process.poll() is None
    assert alive(server)
    process.terminate()
    assert process.wait(60) == 143
    eventually(lambda: not alive(server), 20)
    assert not socket.exists()


def test_commands_that_do_not_train_need_no_warm_process(tmp_path, warm):
    process = start("select-rate", "--spec", tmp_path / "nowhere", "--output", tmp_path / "out", env=warm)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "nowhere is missing" in said
