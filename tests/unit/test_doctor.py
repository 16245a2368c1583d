"""What `crossover doctor` reads from a scheduler's answers, and what it makes of them.

The answers in slurm-22.05/ were recorded on a real cluster: SLURM 22.05.8 with accounting, node n2 drained, GPUs of a
model, and a partition with limits.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossover.cluster import installation, node, probe
from crossover.cluster.findings import Finding
from crossover.cluster.placement import Needs, check_gpus, check_partition, check_study, job_options
from crossover.cluster.profile import Profile, check_profile
from crossover.cluster.scheduler import check_ends, check_nodes, check_status_command
from crossover.errors import UserError
from crossover.slurm import (
    Answer,
    Node,
    Partition,
    Scheduler,
    ask,
    minutes,
    read_job,
    read_nodes,
    read_partitions,
    read_settings,
)
from workflow_copy import ROOT, fresh_environment

RECORDED = Path(__file__).parent / "slurm-22.05"


def recorded(name: str) -> str:
    return (RECORDED / f"{name}.txt").read_text()


@pytest.fixture
def scheduler() -> Scheduler:
    partitions = read_partitions(recorded("partitions"), read_nodes(recorded("nodes")))
    return Scheduler("22.05.8", Answer(0, recorded("ping"), ""), read_settings(recorded("config")), partitions)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with the shipped profiles, and an environment that says nothing of a site."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CROSSOVER_")]:
        monkeypatch.delenv(name)
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "slurm").symlink_to("profiles/slurm")
    return tmp_path


@pytest.fixture
def profile(folder) -> Profile:
    _, found = check_profile()
    assert found
    return found


def site(monkeypatch, **variables: str) -> Profile:
    """The profile where these variables are set."""
    for name, value in variables.items():
        monkeypatch.setenv(f"CROSSOVER_{name.upper()}", value)
    _, found = check_profile()
    assert found
    return found


# --- answers of the scheduler -----------------------------------------------------------------------------


def test_settings_are_read(scheduler):
    assert scheduler.seconds("KillWait") == 30
    assert scheduler.seconds("MinJobAge") == 3600
    assert scheduler.seconds("PreemptType") is None
    assert scheduler.has_accounting


def test_partitions_have_their_limits_and_nodes(scheduler):
    cpu, gpu = scheduler.partitions["cpu"], scheduler.partitions["gpu"]
    assert scheduler.default_partition == "cpu"
    assert [node.name for node in cpu.nodes] == ["n1", "n2"]
    assert (gpu.longest_minutes, gpu.most_memory_mb, gpu.gpus) == (2 * 1440 + 750, 12000, 2)
    assert (cpu.longest_minutes, cpu.most_memory_mb, cpu.gpus) == (float("inf"), 16000, 0)
    assert gpu.allows("lab")
    assert not gpu.allows("root")
    assert cpu.allows("root")


def test_a_drained_node_is_counted(scheduler):
    assert check_nodes(scheduler).text == "SLURM 22.05.8; 3 nodes: 2 up, 1 drained"


def test_a_scheduler_without_nodes_up_fails(scheduler):
    for name, partition in scheduler.partitions.items():
        down = tuple(replace(node, state="down*") for node in partition.nodes)
        scheduler.partitions[name] = replace(partition, nodes=down)
    assert check_nodes(scheduler) == Finding(
        "FAIL", "scheduler", "SLURM 22.05.8; 3 nodes: 0 up, 3 down", "sinfo -R says why; jobs would wait until nodes come back"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [("", 0), ("gpu:2", 2), ("gpu:a100:4(S:0-1)", 4), ("gpu:a100:2,gpu:v100:1(S:0,2)", 3), ("mps:200,gpu:1", 1)],
)
def test_gpus_are_counted(gres, gpus):
    assert Node("n", "idle", gres, 1, 1).gpus == gpus


@pytest.mark.parametrize(
    ("state", "usable"),
    [("idle", True), ("mixed", True), ("idle~", True), ("allocated#", True), ("idle*", False), ("drained", False),
     ("draining", False), ("down", False), ("maint", False)],
)  # fmt: skip
def test_usable_nodes(state, usable):
    assert Node("n", state, "", 1, 1).usable is usable


@given(st.integers(0, 400), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_time_limits(days, hours, whole, seconds):
    expected = days * 1440 + hours * 60 + whole + seconds / 60
    assert minutes(f"{days}-{hours:02}:{whole:02}:{seconds:02}") == expected
    if not days:
        assert minutes(f"{hours:02}:{whole:02}:{seconds:02}") == expected
    if not days and not hours:
        assert minutes(f"{whole:02}:{seconds:02}") == expected


def test_no_time_limit():
    assert minutes("UNLIMITED") == float("inf")


def test_a_waiting_job_has_no_time_in_the_queue():
    job = read_job("PENDING|JobHeldUser|2026-11-21T10:10:20|N/A\n")
    assert (job.waits, job.has_ended, job.reason, job.queued_seconds) == (True, False, "JobHeldUser", None)


def test_the_time_in_the_queue_is_the_schedulers():
    job = read_job("COMPLETED|None|2026-11-21T23:59:50|2026-11-22T00:00:20\n")
    assert (job.waits, job.has_ended, job.queued_seconds) == (False, True, 30)


def test_a_command_that_is_missing_or_silent_says_so():
    assert ask("no-such-command-here").words == "no-such-command-here: No such file or directory"
    assert ask("sleep", "5", seconds=0.1).words == "sleep gave no answer within 0.1 s"


# --- what Snakemake will hear of its jobs -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "command", "accounting", "sacct", "grade", "change"),
    [
        (300, "squeue", False, False, "ok", ""),
        (300, "squeue", True, True, "ok", ""),
        (100, "squeue", False, False, "warn", "MinJobAge=300"),  # pauses between questions grow beyond 100 s
        (100, "squeue", True, True, "warn", "slurm-status-command: sacct"),
        (50, "squeue", False, False, "warn", "MinJobAge=300"),
        (50, "squeue", True, True, "ok", ""),  # the plugin turns to sacct below three times the first pause of 20 s
        (50, "squeue", True, False, "FAIL", "--profile profiles/slurm-squeue"),
        (300, "sacct", False, False, "FAIL", "slurm-status-command: squeue"),
        (300, "sacct", True, True, "ok", ""),
    ],
)
def test_states_of_jobs(scheduler, profile, age, command, accounting, sacct, grade, change):
    settings = scheduler.settings | {"MinJobAge": f"{age} sec"}
    if not accounting:
        settings["AccountingStorageType"] = "accounting_storage/none"
    options = profile.options | {"slurm_status_command": command, "slurm_init_seconds_before_status_checks": 20}
    finding = check_status_command(
        replace(scheduler, settings=settings), replace(profile, options=options), sacct_answers=sacct
    )
    assert finding.grade == grade
    assert change in finding.change


# --- where jobs go ----------------------------------------------------------------------------------------


def test_the_default_partition_is_used(scheduler, profile):
    finding, partition = check_partition(scheduler, profile, None)
    assert (finding.grade, finding.text) == ("ok", "cpu (the default)")
    assert partition is scheduler.partitions["cpu"]


def test_an_unknown_partition_names_the_nearest(scheduler, folder, monkeypatch):
    finding, partition = check_partition(scheduler, site(monkeypatch, partition="cpus"), None)
    assert (finding.grade, finding.text) == ("FAIL", "there is no partition cpus; did you mean cpu?")
    assert finding.change == "export CROSSOVER_PARTITION=cpu (or gpu, prio)"
    assert partition is None


def test_a_partition_must_allow_the_account(scheduler, folder, monkeypatch):
    finding, _ = check_partition(scheduler, site(monkeypatch, gpu_partition="gpu"), "root", gpu=True)
    assert (finding.grade, finding.change) == ("FAIL", "export CROSSOVER_GPU_PARTITION=prio")
    finding, _ = check_partition(scheduler, site(monkeypatch, gpu_partition="gpu"), "lab", gpu=True)
    assert (finding.grade, finding.text) == ("ok", "gpu, with gpu:a100:2 on a node")


def test_a_partition_must_be_up(scheduler, profile):
    scheduler.partitions["cpu"].settings["State"] = "INACTIVE"
    finding, _ = check_partition(scheduler, profile, None)
    assert (finding.grade, finding.text) == ("FAIL", "cpu is INACTIVE: it starts no jobs")


def test_a_study_with_gpus_needs_a_partition_with_gpus(scheduler, profile):
    [finding], request = check_gpus(scheduler, profile, None, asked=True)
    assert (finding.grade, finding.text) == ("FAIL", "cpu has no GPUs")
    assert finding.change == "export CROSSOVER_GPU_PARTITION=gpu (or prio)"
    assert request is None


# --- what the study asks for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needs", "where", "grade", "change"),
    [
        (Needs("s", 1, 8, 3000, 900), "gpu", "ok", ""),
        (Needs("s", 1, 9, 3000, 1000), "gpu", "FAIL", "hardware: {threads: 8}"),
        (Needs("s", 1, 8, 12001, 1000), "gpu", "FAIL", "hardware: {memory_mb: 12000}"),
        (Needs("s", 1, 8, 3000, 4000), "gpu", "FAIL", "hardware: {minutes: 3630}"),
        (Needs("s", 1, 8, 3001, 900), "gpu", "warn", "hardware: {memory_mb: 3000}"),  # at the fourth attempt
        (Needs("s", 0, 8, 3000, 900), "gpu", "warn", "unset CROSSOVER_GPU_PARTITION"),
        (Needs("s", 0, 8, 4000, 10**6), "cpu", "ok", ""),
    ],
)
def test_a_study_must_fit_into_its_partition(scheduler, needs, where, grade, change):
    finding = check_study(needs, scheduler.partitions[where], retries=3)
    assert finding.grade == grade
    assert change in finding.change


# --- how jobs end -----------------------------------------------------------------------------------------


def test_ends_of_jobs_on_a_good_cluster(scheduler, profile):
    cpu, _, prio = scheduler.partitions.values()
    findings = check_ends(scheduler, profile, [cpu, prio])
    assert [finding.grade for finding in findings] == ["ok"] * 4
    assert "30 s to save" in findings[0].text
    assert findings[2].text.startswith("in cpu, a preempted job goes back to the queue")
    assert findings[3].text == "in prio, jobs are not preempted"


def test_ends_of_jobs_on_a_poor_cluster(scheduler, profile):
    poor = {"KillWait": "5 sec", "JobRequeue": "0", "PreemptType": "preempt/none"}
    options = profile.options | {"slurm_requeue": False, "retries": 3}
    limit, failure, preemption = check_ends(
        replace(scheduler, settings=scheduler.settings | poor),
        replace(profile, options=options),
        [Partition("a", {"PreemptMode": "CANCEL"})],
    )
    assert (limit.grade, failure.grade, failure.change) == (
        "warn",
        "warn",
        "slurm-requeue: true in profiles/slurm/profile.yaml",
    )
    assert preemption.text == "in a, jobs are not preempted"


# --- the profile ------------------------------------------------------------------------------------------


def add_to_profile(folder: Path, text: str) -> list[Finding]:
    with (folder / "profiles" / "slurm" / "profile.yaml").open("a") as stream:
        stream.write(text)
    findings, _ = check_profile()
    return findings


def test_the_shipped_profile_is_known_to_snakemake(folder):
    findings, found = check_profile()
    assert found
    assert all(finding.grade != "FAIL" for finding in findings)
    assert found.resource("finetune_run", "slurm_partition") is None


def test_the_profile_takes_the_site_from_the_environment(folder, monkeypatch):
    found = site(monkeypatch, account="lab", partition="cpu", gpu_partition="gpu", gres="gpu:a100:1")
    assert found.resource("prepare_task", "slurm_account") == "lab"
    assert found.resource("prepare_task", "slurm_partition") == "cpu"
    assert found.resource("finetune_run", "slurm_partition") == "gpu"
    assert found.resource("finetune_run", "gres") == "gpu:a100:1"
    assert found.resource("analyse", "slurm_partition") == "gpu"
    assert found.resource("finetune_run", "slurm_account") == "lab", "the default holds where a rule has no other"


def test_probe_jobs_are_asked_for_as_runs_are(folder, monkeypatch):
    profile = folder / "profiles" / "slurm" / "profile.yaml"
    more = "  constraint: a100\n  slurm_extra: \"--nice=7 --reservation='a course'\"\n"
    profile.write_text(profile.read_text().replace("default-resources:\n", f"default-resources:\n{more}"))
    found = site(monkeypatch, account="lab", gpu_partition="gpu", qos="long")
    options = job_options(found, "gpu")
    wanted = [
        "--partition=gpu",
        "--account=lab",
        "--qos=long",
        "--constraint=a100",
        "--nice=7",
        "--reservation=a course",
    ]
    assert options[: len(wanted)] == wanted


@pytest.mark.parametrize(
    ("text", "said", "change"),
    [
        ("latency_wait: 30\n", "Snakemake has no option latency_wait", "did you mean latency-wait?"),
        ("slurm-qos: {a: b}\n", "Snakemake ignores slurm-qos", "write slurm-qos as a list or one value"),
        ("local-cores: some\n", "invalid int value: 'some'", "correct the value"),
        ("?if unheard_of:\n  cores: 1\n", "'unheard_of' is not defined", "correct profiles/slurm/profile.yaml"),
        ("groups: [a\n", "cannot be read", "correct profiles/slurm/profile.yaml"),
    ],
)
def test_a_slip_in_the_profile_is_found(folder, text, said, change):
    [finding] = add_to_profile(folder, text)
    assert finding.grade == "FAIL"
    assert said in finding.text
    assert change in finding.change


def test_the_default_profile_must_not_win_unnoticed(folder):
    defaults = folder / "profiles" / "default" / "profile.yaml"
    defaults.write_text("default-resources:\n  mem_mb: 1\n")
    findings, _ = check_profile()
    assert [finding.change for finding in findings] == [f"remove default-resources from {defaults.relative_to(folder)}"]


@pytest.mark.parametrize("instead", [None, "profiles/slurm"])
def test_the_link_to_the_profile_must_be_there(folder, monkeypatch, instead):
    (folder / "slurm").unlink()
    if instead:
        (folder / "slurm").write_text(instead)
    [finding], found = check_profile()
    assert (finding.grade, finding.change) == ("FAIL", "ln -sfn profiles/slurm slurm")
    assert found is None


# --- this machine -----------------------------------------------------------------------------------------


def test_another_version_than_the_locks_is_a_warning(tmp_path, monkeypatch):
    lock = (ROOT / installation.LOCK).read_text()
    (tmp_path / "envs").mkdir()
    (tmp_path / installation.LOCK).write_text(lock.replace("snakemake==", "snakemake==0."))
    monkeypatch.chdir(tmp_path)
    [finding] = installation.check_versions()
    assert (finding.grade, finding.change) == ("warn", "python -m pip install -r envs/requirements.lock")
    (tmp_path / installation.LOCK).write_text(lock)
    assert [finding.grade for finding in installation.check_versions()] == ["ok"]


def test_another_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run crossover doctor in the folder that holds the Snakefile"):
        installation.check_versions()


def test_the_rules_python_must_be_this_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert installation.check_python().grade == "ok"
    (tmp_path / "python").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(sys.executable).parent}")
    assert installation.check_python().change == f"export PATH={Path(sys.executable).parent}:$PATH"


def test_the_token_is_never_shown(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "HF_TOKEN is set" in installation.check_hub().text
    assert "secret" not in installation.check_hub().show()


# --- the probe --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> node.NodeReport:
    """What a node says while the submitting side holds the lock."""
    where = tmp_path_factory.mktemp("probe")
    with (where / node.LOCK).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        return node.report(where)


def judged(report: node.NodeReport, trip: float = 0.1, on_gpu: bool = False) -> dict[str, Finding]:
    return {finding.subject: finding for finding in probe.judge(report, trip, latency_wait=60, on_gpu=on_gpu)}


def changed(report: node.NodeReport, **fields: object) -> node.NodeReport:
    return node.NodeReport.model_validate(report.content() | fields)


def test_a_node_with_all_that_a_run_needs_is_fine(report):
    report = changed(report, called=report.executable)
    assert {subject: finding.grade for subject, finding in judged(report).items()} == {
        "node": "ok",
        "shared files": "ok",
        "locks": "ok",
        "scratch": "ok",
    }


def test_the_lock_is_told_to_be_free(tmp_path):
    (tmp_path / node.LOCK).touch()
    free = node.report(tmp_path)
    assert free.lock == "free"
    assert judged(free)["locks"].grade == "warn"


def test_files_that_come_later_than_snakemake_waits(report):
    finding = judged(report, trip=70.5)["shared files"]
    assert (finding.grade, finding.change) == ("warn", "latency-wait: 142 in profiles/slurm/profile.yaml")


def test_a_gpu_that_torch_does_not_see(report):
    finding = judged(changed(report, visible_devices="0", torch={"version": "2.13.0+cpu"}), on_gpu=True)["gpu"]
    assert finding.grade == "warn"
    assert "is a build for CPUs" in finding.change
    torch = {"version": "2.13.0", "cuda": "12.8"}
    assert "driver" in judged(changed(report, torch=torch), on_gpu=True)["gpu"].change
    seen = changed(report, visible_devices="0", torch=torch | {"gpu": {"name": "NVIDIA A100", "memory_gb": 42.3}})
    assert judged(seen, on_gpu=True)["gpu"].text == "NVIDIA A100, 42 GB; CUDA_VISIBLE_DEVICES is 0"


def test_what_a_node_lacks(report):
    assert judged(changed(report, torch={"error": "ModuleNotFoundError: no torch"}))["node"].grade == "FAIL"
    assert judged(changed(report, called="/usr/bin/python"))["node"].grade == "FAIL"
    assert judged(changed(report, scratch_gb=0.2))["scratch"].grade == "warn"


@pytest.mark.parametrize(
    ("last_words", "change"),
    [
        (probe.NO_LOG, "work in a folder on a file system that all nodes share"),
        ("slurmstepd: error: execve(): /x/python: No such file or directory", f"nodes must see {sys.prefix}"),
        ("srun: fatal: Could not establish a configuration source", "SLURM_CONF does not reach steps of jobs"),
        ("MemoryError", "put right what its log says"),
    ],
)
def test_why_a_probe_failed(last_words, change):
    finding = probe.judge_end("7", "FAILED", last_words)
    assert finding.text == f"job 7 ended as FAILED; {last_words}"
    assert change in finding.change


def test_a_cache_that_nodes_do_not_see(report, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert judged(changed(report, hub=None))["hub cache"].grade == "warn"
    assert "hub cache" not in judged(changed(report, hub=node.hub_identity()))


# --- the command ------------------------------------------------------------------------------------------


@given(
    st.lists(st.text("abc-/.", min_size=1, max_size=90), min_size=1, max_size=30).map(" ".join),
    st.integers(20, 200),
)
def test_no_word_is_broken_and_no_line_too_long(text, columns):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        lines = Finding("warn", "subject", text, "do this").show().splitlines()
    assert " ".join(lines).split() == ["warn", "subject", *text.split(), "->", "do", "this"]
    for line in lines:
        assert len(line) <= max(60, min(columns, 100)) or len(line.split()) <= 3


def test_a_machine_without_slurm_is_fine(tmp_path):
    """PATH holds this Python and the few commands that Snakemake's SLURM plugin looks for, but no SLURM."""
    for command in ("which", "sh", "bash"):
        (tmp_path / command).symlink_to(shutil.which(command) or "missing")
    environment = fresh_environment() | {"PATH": f"{Path(sys.executable).parent}:{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-m", "crossover", "doctor"],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skip  scheduler     no SLURM here: snakemake runs on this machine alone" in done.stdout
    assert "Nothing failed" in done.stdout
