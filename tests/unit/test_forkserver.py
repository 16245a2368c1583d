import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import environment, finetune, results, serve_forks, start

from crossover.files import read_json, read_sealed_json
from crossover.runs.events import read_events
from crossover.runs.lock import is_held, read_owner


@pytest.fixture
def spec(tiny, tmp_path) -> Path:
    """The spec of a run of a second."""
    return tiny.write(tiny.spec(training={"dropout": 0.1}), tmp_path / "spec.json")


@pytest.fixture
def endless(tiny, tmp_path) -> Path:
    """The spec of a run that takes longer than any test waits."""
    tiny.write(tiny.spec(training={"length": "20000 steps", "patience": 20_000}), tmp_path / "endless.json")
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
    return owner.pid


def test_the_results_are_those_of_a_process_of_its_own(spec, tmp_path, forked):
    """That process waits for a fork server that is killed before it takes the run, and computes it itself."""
    dying = serve_forks(tmp_path / "socket")
    dying.send_signal(signal.SIGSTOP)
    cold = finetune(spec, tmp_path / "cold", env=environment(CROSSOVER_FORKSERVER=str(tmp_path / "socket")))
    process = finetune(spec, tmp_path / "forked", env=forked)
    assert process.wait(180) == 0
    dying.kill()
    dying.wait()
    assert cold.wait(180) == 0
    assert read_events(tmp_path / "cold")[-1].pid == cold.pid
    assert results(tmp_path / "forked") == results(tmp_path / "cold")
    one, other = (read_sealed_json(tmp_path / name / "provenance.json") for name in ("forked", "cold"))
    for facts in (one, other):
        assert facts["command"].startswith(f"crossover finetune-run --spec {spec} --seed 0 ")
    assert {key for key in one if one[key] != other[key]} <= {
        *("started", "ended", "seconds", "cpu_seconds", "peak_memory_mb", "command"),
    }


def test_the_run_is_forked_and_has_the_folder_and_environment_of_its_command(spec, tiny, tmp_path, forked):
    """A path relative to the command's folder works, and a variable of the command reaches the run."""
    process = finetune(
        os.path.relpath(spec), tmp_path / "out", env=forked | {"SLURM_JOB_ID": "77", "CROSSOVER_STEP": "77"}
    )
    assert process.wait(180) == 0
    assert read_json(tmp_path / "out/provenance.json")["slurm_job_id"] == "77"
    assert read_events(tmp_path / "out")[-1].pid != process.pid


def test_output_and_failure_pass_through(spec, tmp_path, forked):
    good = finetune(spec, tmp_path / "good", env=forked)
    _, said = good.communicate(timeout=60)
    assert "step 20/20" in said, "without --log, the log goes to the terminal of the command"
    assert good.returncode == 0
    bad = finetune(tmp_path / "nowhere.json", tmp_path / "bad", env=forked)
    _, said = bad.communicate(timeout=60)
    assert said.splitlines()[-1] == f"crossover: {tmp_path}/nowhere.json is missing; run snakemake to make it."
    assert bad.returncode == 1


def test_an_exception_shows_its_traceback_and_fails(spec, tmp_path, forked):
    process = finetune(spec, tmp_path / "out", env=forked, seed=-1)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" in said
    assert "ValueError: " in said


def test_a_request_to_end_is_passed_on(endless, tmp_path, forked, eventually):
    process = finetune(endless, tmp_path / "out", "--log", tmp_path / "log", env=forked)
    eventually(lambda: (tmp_path / "log").exists() and "step 5/" in (tmp_path / "log").read_text())
    process.terminate()
    assert process.wait(180) == 143
    assert (tmp_path / "out/state/latest.pt").exists()
    assert not is_held(tmp_path / "out/.lock")


def test_a_run_that_is_killed_is_reported_by_its_signal(endless, tmp_path, forked, eventually):
    process, lock = finetune(endless, tmp_path / "out", "--log", tmp_path / "log", env=forked), tmp_path / "out/.lock"
    eventually(lambda: lock.exists() and lock.read_text())
    os.kill(owner_of(lock), signal.SIGKILL)
    assert process.wait(180) == 128 + signal.SIGKILL


def test_a_command_that_is_killed_takes_its_run_along(endless, spec, tmp_path, forked, eventually):
    process, lock = finetune(endless, tmp_path / "out", "--log", tmp_path / "log", env=forked), tmp_path / "out/.lock"
    eventually(lambda: lock.exists() and lock.read_text())
    assert is_held(lock)
    process.kill()
    process.wait()
    eventually(lambda: not is_held(lock), 20)
    assert not alive(owner_of(lock))
    assert finetune(spec, tmp_path / "next", env=forked).wait(180) == 0, "the fork server goes on"


def test_a_proxy_imports_next_to_nothing(spec, tmp_path, forked):
    command = [sys.executable, "-X", "importtime", "-m", "crossover", "finetune-run", "--help"]
    done = subprocess.run(command, env=forked, capture_output=True, text=True, check=True)
    assert "Fine-tune one run" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "crossover.runtime.proxy" in imported
    assert not imported & {"crossover.cli", "typer", "pydantic", "pandas", "numpy", "subprocess", "crossover.files"}


OWNER = """
import os, sys, time
from pathlib import Path
from crossover.runtime import forkserver
forkserver.start()
print(os.environ["CROSSOVER_FORKSERVER"], Path(f"/proc/self/task/{os.getpid()}/children").read_text(), flush=True)
time.sleep(float(sys.argv[1]))
"""


@pytest.fixture
def own():
    """Start a process that starts a fork server and sleeps; a function that returns it, the socket and the server's number."""
    servers = []

    def start_owner(seconds: float) -> tuple[subprocess.Popen, Path, int]:
        command = [sys.executable, "-c", OWNER, str(seconds)]
        owner = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        assert owner.stdout
        path, number = owner.stdout.readline().split()
        servers.append(int(number))
        return owner, Path(path), servers[-1]

    yield start_owner
    for server in filter(alive, servers):  # after a failure
        os.kill(server, signal.SIGKILL)


def test_the_fork_server_ends_after_its_owner_and_the_last_run(own, endless, tmp_path, eventually):
    """The run comes before the libraries are there, and waits for them instead of importing them itself."""
    owner, socket, server = own(1000)
    hasty, _, too_late = own(1)  # it ends while its fork server still imports
    hasty.wait(20)
    environ = environment(CROSSOVER_FORKSERVER=str(socket))
    process = finetune(endless, tmp_path / "out", "--log", tmp_path / "log", env=environ)
    lock = tmp_path / "out/.lock"
    eventually(lambda: lock.exists() and lock.read_text())
    assert owner_of(lock) != process.pid
    os.kill(server, signal.SIGINT)  # Ctrl-C is for the runs and for Snakemake
    owner.kill()
    owner.wait()
    eventually(lambda: not alive(too_late), 30)
    assert process.poll() is None
    assert alive(server)
    process.terminate()
    assert process.wait(180) == 143
    eventually(lambda: not alive(server), 20)
    shutil.rmtree(socket.parent)  # which the owner removes unless it is killed


def test_commands_that_do_not_train_need_no_fork_server(tmp_path, forked):
    process = start("aggregate-study", "--spec", tmp_path / "nowhere", "--output", tmp_path / "out", env=forked)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "nowhere is missing" in said
