"""The throw-away cluster itself: what the tests on it take for granted."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import Cluster, ClusterError
from processes import send
from system_services import service_files

from workflow_copy import wait_for


def submit(cluster, *options: str, script: str) -> int:
    """Submit a script as a job; return the job's number."""
    return int(cluster.run("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={script}"))


def until(path: Path) -> str:
    """A script that goes on until there is a file."""
    return f"until [ -e {path} ]; do sleep 0.1; done"


def job(cluster, number: int):
    [found] = [job for job in cluster.jobs() if job.id == number]
    return found


def wait_for_state(cluster, number: int, state: str) -> None:
    wait_for(lambda: job(cluster, number).state == state)


def of_jobs(cluster) -> list:
    """The living processes of a cluster's jobs."""
    return [process for process in cluster.processes() if "SLURM_JOB_ID" in process.environment]


# --- what it is ---------------------------------------------------------------------------------------------


def test_a_cluster_has_its_nodes_in_their_partitions(cluster):
    lines = cluster.run("sinfo", "--noheader", "--Node", "--format=%P %N %G").splitlines()
    assert {line.strip() for line in lines} == {
        *("cpu* n1 (null)", "cpu* n2 (null)", "gpu g1 gpu:2"),
        *("prio n1 (null)", "prio n2 (null)", "prio g1 gpu:2"),
    }


def test_a_cluster_listens_on_this_machine_alone(cluster):
    assert listening(cluster.folder) == ["127.0.0.1"] * 4


def listening(folder: Path) -> list[str | None]:
    """The addresses at which the daemons of a cluster wait for others, by the ports in their configuration."""
    text = "".join(path.read_text() for path in folder.glob("slurm*.conf"))
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = dict(socket[1].split(":")[::-1] for socket in sockets if socket[3] == "0A")
    found = [ports.get(f"{int(port):04X}") for port in re.findall(r"Port=(\d+)", text)]
    return [address and ".".join(map(str, reversed(bytes.fromhex(address)))) for address in found]


def test_a_third_job_waits_for_one_of_two_gpus(cluster, tmp_path):
    for number in range(3):
        script = f"echo $CUDA_VISIBLE_DEVICES >{tmp_path}/device-{number}; {until(tmp_path / f'go-{number}')}"
        submit(cluster, "--partition=gpu", "--gpus=1", f"--job-name=gpu-{number}", script=script)

    def states() -> list[str]:
        return [job.state for job in cluster.jobs() if job.name.startswith("gpu-")]

    wait_for(lambda: len(list(tmp_path.glob("device-*"))) == 2)
    assert states() == ["RUNNING", "RUNNING", "PENDING"]
    assert {(tmp_path / f"device-{number}").read_text().strip() for number in (0, 1)} == {"0", "1"}
    (tmp_path / "go-0").touch()
    wait_for((tmp_path / "device-2").exists)
    assert states() == ["COMPLETED", "RUNNING", "RUNNING"]
    for number in (1, 2):
        (tmp_path / f"go-{number}").touch()
    wait_for(lambda: states() == ["COMPLETED"] * 3)


# --- mishaps ------------------------------------------------------------------------------------------------


def test_a_job_with_priority_has_another_requeued(mishaps, tmp_path):
    script = until(tmp_path / "go")
    first = submit(mishaps, "--nodelist=n1", "--cpus-per-task=8", script=script)
    wait_for_state(mishaps, first, "RUNNING")
    second = submit(mishaps, "--partition=prio", "--nodelist=n1", "--cpus-per-task=8", script=script)
    wait_for_state(mishaps, second, "RUNNING")
    assert (job(mishaps, first).state, job(mishaps, first).restarts) == ("PENDING", 1)
    (tmp_path / "go").touch()
    for number in (first, second):
        wait_for_state(mishaps, number, "COMPLETED")


def test_the_jobs_of_a_dead_node_are_requeued(mishaps, tmp_path):
    script = f"echo $SLURMD_NODENAME >>{tmp_path}/starts; {until(tmp_path / 'go')}"
    number = submit(mishaps, "--nodelist=n1", script=script)
    wait_for((tmp_path / "starts").exists)
    mishaps.kill_node("n1", with_jobs=True)
    assert not of_jobs(mishaps)
    assert (job(mishaps, number).state, job(mishaps, number).restarts) == ("PENDING", 1)
    mishaps.revive_node("n1")
    wait_for(lambda: (tmp_path / "starts").read_text() == "n1\nn1\n")
    (tmp_path / "go").touch()
    wait_for_state(mishaps, number, "COMPLETED")


def test_a_job_outlives_the_controller(mishaps, tmp_path):
    number = submit(mishaps, script=until(tmp_path / "go"))
    wait_for(lambda: of_jobs(mishaps))
    mishaps.stop_controller()
    assert "slurmctld" not in {process.name for process in mishaps.processes()}
    assert of_jobs(mishaps)
    mishaps.start_controller()
    assert (job(mishaps, number).state, job(mishaps, number).restarts) == ("RUNNING", 0)
    (tmp_path / "go").touch()
    wait_for_state(mishaps, number, "COMPLETED")


# --- the end ------------------------------------------------------------------------------------------------


def test_nothing_is_left_of_a_cluster_that_is_stopped(start_cluster, cluster, tmp_path):
    """Also when its daemons were killed while jobs ran; a neighbour notices nothing."""
    before, neighbour = service_files(), cluster
    harmed = start_cluster(cpu_nodes=1, kill_wait=1)
    jobs = []
    for one in (neighbour, harmed):
        jobs.append(submit(one, "--partition=prio", "--nodelist=n1", script=until(tmp_path / "go")))
        script = f"setsid sh -c {until(tmp_path / 'go')!r} & wait"
        jobs.append(submit(one, "--partition=prio", "--nodelist=g1", script=script))
        wait_for(lambda: {task.environment["SLURMD_NODENAME"] for task in of_jobs(one)} == {"n1", "g1"})  # noqa: B023
    alive = lasting(neighbour)
    harmed.kill_node("n1")
    assert {task.environment["SLURMD_NODENAME"] for task in of_jobs(harmed)} == {"n1", "g1"}
    send(signal.SIGKILL, [process for process in harmed.processes() if process.name == "slurmctld"])
    harmed.stop()
    assert not harmed.processes()
    assert service_files() == before
    assert lasting(neighbour) == alive
    assert {job(neighbour, number).state for number in jobs[:2]} == {"RUNNING"}
    (tmp_path / "go").touch()
    for number in jobs[:2]:
        wait_for_state(neighbour, number, "COMPLETED")


def lasting(cluster) -> set[int]:
    """The processes of a cluster, but for the naps of its jobs."""
    return {process.number for process in cluster.processes() if process.name != "sleep"}


# --- accounting ---------------------------------------------------------------------------------------------


def test_accounting_remembers_jobs_and_memory_limits_kill(accounting):
    assert listening(accounting.folder) == ["127.0.0.1"] * 6
    greedy = f"exec {sys.executable} -c 'import time; x = b\"x\" * 300_000_000; time.sleep(60)'"
    jobs = [
        submit(accounting, "--comment=rule_good", "--mem=100", script="true"),
        submit(accounting, "--comment=rule_greedy", "--mem=100", script=greedy),
    ]

    def sacct() -> str:
        these = f"--jobs={','.join(map(str, jobs))}"
        return accounting.run("sacct", "--noheader", "--parsable2", "--allocations", "--format=Comment,State", these)

    wait_for(lambda: sacct() == "rule_good|COMPLETED\nrule_greedy|FAILED\n")
    accounting.stop_database()
    with pytest.raises(ClusterError, match="sacct"):
        sacct()
    accounting.start_database()
    assert sacct() == "rule_good|COMPLETED\nrule_greedy|FAILED\n"


# --- by hand ------------------------------------------------------------------------------------------------


def by_hand(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(Path(__file__).with_name("cluster.py")), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_cluster_is_started_harmed_and_stopped_from_the_command_line(require_slurm, tmp_path):
    require_slurm()
    folder = tmp_path / "cluster"
    started = by_hand("start", folder)
    assert started.returncode == 0, started.stderr
    try:
        [line] = [line.strip() for line in started.stdout.splitlines() if line.strip().startswith(". ")]
        terminal = ["bash", "-c", f"{line} && srun --nodelist=n2 printenv SLURMD_NODENAME"]
        assert subprocess.run(terminal, capture_output=True, text=True, check=True).stdout == "n2\n"
        again = by_hand("start", folder)
        assert (again.returncode, again.stderr) == (1, f"{folder} is not empty: give the cluster a new folder\n")
        for words in (["kill-node", folder, "n2"], ["revive-node", folder, "n2"], ["restart-controller", folder]):
            done = by_hand(*words)
            assert (done.returncode, done.stderr) == (0, ""), words
        assert subprocess.run(terminal, capture_output=True, text=True, check=True).stdout == "n2\n"
    finally:
        stopped = by_hand("stop", folder)
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert not Cluster.open(folder).processes()
    nowhere = by_hand("stop", tmp_path)
    assert (nowhere.returncode, nowhere.stderr) == (1, f"{tmp_path} holds no cluster\n")
