"""What is noted of the jobs that failed, from Snakemake's log records."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from crossover.runs.events import read_events
from crossover.runs.files import run_folder
from crossover.runtime.plugin_patches import last_states
from crossover.runtime.session import Session

RUN = "bits.tiny.random-all-01234567"


@pytest.fixture
def session(tmp_path, monkeypatch) -> Iterator[Session]:
    """A session whose Snakemake starts failed jobs again once."""
    monkeypatch.chdir(tmp_path)
    session = Session(SimpleNamespace(study="tiny", runs=[(RUN, seed) for seed in range(3)], cells=[]))
    session.start(retries=1)
    yield session
    session.stop()


def failed(seed: int, message: str | None = None, **fields: object) -> dict[str, object]:
    """What Snakemake says of a run's job that failed."""
    output = [f"{run_folder(RUN, seed)}/metrics.json"]
    job = {"rule_name": "finetune_run", "rule_msg": message, "jobid": seed, "output": output, "log": ["own.log"]}
    return {"event": LogEvent.JOB_ERROR, "aux": {}, "indent": False} | job | fields


def say(session: Session, **fields: object) -> None:
    """Let Snakemake say something."""
    session.emit(logging.makeLogRecord(fields))


def events(seed: int) -> list[tuple[str, str, str | None]]:
    """What was noted of a run: event, reason and SLURM job."""
    return [(entry.event, entry.reason, entry.of_job) for entry in read_events(run_folder(RUN, seed))]


def test_a_job_is_to_be_retried_as_long_as_snakemake_does(session):
    for _ in range(2):
        say(session, **failed(0, "SLURM sbatch failed."))
    failure = ("job failed", "SLURM sbatch failed.", None)
    assert events(0) == [failure, ("to be retried", "", None), failure]


def test_the_reason_is_the_last_state_of_the_slurm_job(session, monkeypatch):
    monkeypatch.setitem(last_states, "77", "TIMEOUT")
    say(session, **failed(0, "SLURM-job '77' failed", aux={"external_jobid": "77"}))
    event, reason, job = events(0)[0]
    assert (event, job) == ("job failed", "77")
    assert reason and reason.startswith("the time limit was reached")


def test_the_members_of_a_batch_fail_once_each(session):
    members = [failed(seed, indent=True) for seed in (0, 1)]
    say(session, event=LogEvent.GROUP_ERROR, job_error_info=members, aux_logs=[], external_jobid="5")
    for member in members:
        say(session, **member)
    for seed in (0, 1):
        assert [event for event, _, _ in events(seed)] == ["job failed", "to be retried"]


def test_the_summary_names_other_jobs_that_failed(session):
    other = {"rule_name": "prepare_task", "output": ["results/tasks/x/card.json"], "log": ["logs/x.log"]}
    say(session, **failed(0) | other)
    assert "failed: prepare_task: its command failed; see its log\n    results/tasks/x/card.json" in session.summary()
