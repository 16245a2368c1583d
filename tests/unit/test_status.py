"""How far a study is, from the files of its runs."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from crossover.runs.events import read_events, record, watched
from crossover.runs.files import run_folder
from crossover.runs.lock import exclusive
from crossover.runs.result_backup import forget_all, keep, restore_missing
from crossover.runs.status import Overview, by_cause, describe, duration, reason_of, state_of
from crossover.runtime.session import reason_of_failure
from crossover.specs.descriptions import Provenance
from crossover.specs.studies import Cell

RUN = "bits.tiny.random-all-01234567"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def provenance(**facts: object) -> Provenance:
    """The provenance of a computation, with these facts."""
    words = dict.fromkeys(["host", "platform", "cpu", "device", "python", "started", "ended", "command"], "x")
    numbers = {"threads": 1, "seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_mb": 1, "resumed": 0}
    return Provenance(**{**words, **numbers, "versions": {}, "code": {}, "slurm_job_id": None, "digests": {}} | facts)


def finish(seed: int, seconds: float = 10.0) -> None:
    """What a run leaves behind when it ends well."""
    from crossover.runs.files import RESULTS, write_provenance

    out = run_folder(RUN, seed)
    out.mkdir(parents=True, exist_ok=True)
    for name in RESULTS:
        (out / name).write_text(name)
    write_provenance(out, provenance(seconds=seconds))


def test_a_run_that_was_never_started_waits():
    assert state_of(RUN, 0).state == "waiting"
    assert reason_of(RUN, 0) == ("it has not been computed", f"logs/finetune_run/{RUN}/seed-0.log")


def test_a_run_that_holds_its_lock_runs_and_says_how_far_it_is():
    out = run_folder(RUN, 0)
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom crossover.runs.lock import exclusive\n"
        "with exclusive(Path(sys.argv[1]), 'it'):\n    print('held', flush=True)\n    time.sleep(60)  # crossover"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, out / ".lock"], stdout=subprocess.PIPE)
    try:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        (out / "state").mkdir()
        (out / "state/progress.json").write_text(json.dumps({"step": 30, "max_steps": 120}))
        found = state_of(RUN, 0)
        assert (found.state, found.step) == ("running", (30, 120))
    finally:
        holder.kill()
        holder.wait()
    assert state_of(RUN, 0).state == "waiting", "no event says that it was ever started"
    record(out, "started")
    found = state_of(RUN, 0)
    assert found.state == "failed"
    assert "exited without an error message" in found.reason


def test_what_the_run_says_counts_more_than_what_the_scheduler_knows():
    out = run_folder(RUN, 0)
    record(out, "started")
    record(out, "failed", reason="the disk is full.")
    record(out, "job failed", reason="SLURM status FAILED", of_job="12", slurm_log="logs/slurm/12.log")
    found = state_of(RUN, 0)
    assert (found.state, found.reason, found.slurm_job_id) == ("failed", "the disk is full.", "12")
    record(out, "started")
    record(out, "job failed", reason="the time limit was reached")
    assert state_of(RUN, 0).reason == "the time limit was reached", "of the last attempt"


def test_a_run_that_failed_and_is_tried_again_waits():
    out = run_folder(RUN, 0)
    record(out, "started")
    record(out, "job failed", reason="its node failed", of_job="12", slurm_log="logs/slurm/12.log")
    record(out, "to be retried")
    found = state_of(RUN, 0)
    assert (found.state, found.reason, found.slurm_job_id) == ("waiting", "to be tried again, its node failed", "12")
    record(out, "job failed", reason="its node failed", of_job="13")
    assert (state_of(RUN, 0).state, state_of(RUN, 0).slurm_job_id) == ("failed", "13")


def test_a_run_that_was_asked_to_end_goes_on_later():
    with pytest.raises(SystemExit), watched(run_folder(RUN, 0)):
        raise SystemExit(143)
    found = state_of(RUN, 0)
    assert found.state == "waiting"
    assert "asked to end" in found.reason


def test_memory_that_runs_out_is_named():
    with pytest.raises(RuntimeError), watched(run_folder(RUN, 0)):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
    assert state_of(RUN, 0).reason.startswith("out of memory; raise hardware.memory_mb")


def test_a_line_cut_by_a_crash_is_passed_over():
    out = run_folder(RUN, 0)
    record(out, "started")
    with (out / "events.jsonl").open("a") as stream:
        stream.write('{"event": "fini')
    assert [entry.event for entry in read_events(out)] == ["started"]


def test_the_time_left_follows_from_the_speed_measured():
    """Ten runs of 10 s each, one finished every 5 s: two at a time. Three wait or run: 15 s of clock."""
    for seed in range(10):
        finish(seed)
        entry = {"time": f"2026-01-01T00:00:{5 * seed:02d}+00:00", "event": "finished", "host": "here", "pid": 1}
        (run_folder(RUN, seed) / "events.jsonl").write_text(json.dumps(entry) + "\n")
    cell = Cell(
        **{"task": "bits", "checkpoint": "tiny", "condition": "random-all"},
        **{"run": RUN, "seeds": tuple(range(13))},
    )
    study = SimpleNamespace(study="s", runs=[(RUN, seed) for seed in cell.seeds], cells=[cell])
    with exclusive(run_folder(RUN, 10) / ".lock", "it"):
        lock = run_folder(RUN, 10) / ".lock"
        lock.write_text(json.dumps({**json.loads(lock.read_text()), "host": "elsewhere"}))
        overview = Overview(study).look()
        assert overview.line().startswith("10 of 13 runs done, 1 running; about ")
        assert overview.seconds_left() == pytest.approx(15)
    assert "10 of 13 runs done" in describe(overview)


def test_failures_are_grouped_by_cause():
    for seed in range(3):
        record(run_folder(RUN, seed), "started")
        record(run_folder(RUN, seed), "failed", reason="the disk is full." if seed else f"{RUN} is odd.")
    states = [state_of(RUN, seed) for seed in range(3)]
    assert [(cause, len(members)) for cause, members in by_cause(states)] == [
        ("the disk is full.", 2),
        ("the run is odd.", 1),
    ]


def test_results_that_were_removed_are_put_back_unless_they_are_damaged():
    for seed in (0, 1):
        finish(seed)
        keep(run_folder(RUN, seed))
        before = (run_folder(RUN, seed) / "metrics.json").read_bytes()
        for path in run_folder(RUN, seed).glob("*.*"):
            path.unlink()
    with (run_folder(RUN, 1) / "finished/metrics.json").open("a") as stream:
        stream.write("x")
    runs = [(RUN, 0), (RUN, 1), (RUN, 2)]
    assert restore_missing(runs) == 1
    assert (run_folder(RUN, 0) / "metrics.json").read_bytes() == before
    assert not (run_folder(RUN, 1) / "metrics.json").exists()
    forget_all(runs)
    assert not list(run_folder(RUN, 0).glob("finished"))
    assert (run_folder(RUN, 0) / "metrics.json").exists()


@pytest.mark.parametrize(
    ("state", "log", "words"),
    [
        ("TIMEOUT", "", "the time limit was reached"),
        ("OUT_OF_MEMORY", "", "out of memory; raise hardware.memory_mb"),
        ("FAILED", "slurmstepd: error: Detected 1 oom_kill event", "out of memory; raise hardware.memory_mb"),
        ("BOOT_FAIL", "", "SLURM status BOOT_FAIL"),
        ("COMPLETED", "", "what Snakemake said"),
        ("", "", "what Snakemake said"),
    ],
)
def test_the_reason_of_the_scheduler_is_given_in_words(state, log, words):
    assert reason_of_failure("what\n  Snakemake said", state, log).startswith(words)


def test_a_failure_without_a_reason_points_to_its_log():
    assert reason_of_failure("") == "its command failed; see its log"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h"), (259200, "3.0 days")]
)
def test_lengths_of_time(seconds, words):
    assert duration(seconds) == words


def test_nobody_else_may_be_shut_out_by_a_folder(folder):
    (folder / "x.lock").mkdir()
    from crossover.errors import UserError

    with pytest.raises(UserError, match="could not be written"), exclusive(folder / "x.lock", "it"):
        pass
    assert os.listdir(folder) == ["x.lock"]  # noqa: PTH208
