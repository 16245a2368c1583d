"""What has happened to a run, one line for each event, for people and for `crossover status`.

Snakemake deletes the log of a run before each attempt, and its declared outputs after a failed one; this file stays.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from crossover.errors import UserError

log = logging.getLogger(__name__)
FILE = "events.jsonl"
Kind = Literal[
    "started", "resumed", "saved", "stopped", "failed", "finished", "restored", "job failed", "to be retried"
]


class Event(BaseModel):
    """What has happened to a run.

    Attributes:
        event: its kind.
        time: UTC.
        host: where.
        pid: the process that says so.
        slurm_job_id: its SLURM job, if it is one.
        reason: of a failure or a stop.
        step: optimizer steps done.
        of_job: the SLURM job that failed, where another process says so.
        slurm_log: what SLURM wrote of that job.
    """

    model_config = ConfigDict(frozen=True)

    event: Kind
    time: str
    host: str
    pid: int
    slurm_job_id: str | None = None
    reason: str = ""
    step: int | None = None
    of_job: str | None = None
    slurm_log: str | None = None


def record(
    folder: Path,
    event: Kind,
    *,
    reason: str = "",
    step: int | None = None,
    of_job: str | None = None,
    slurm_log: str | None = None,
) -> None:
    """Append one event to a run's events, with time, host, process and SLURM job.

    Args:
        folder: the run's folder with its seed.
        event: what happened.
        reason: of a failure or a stop.
        step: optimizer steps done.
        of_job: the SLURM job that failed.
        slurm_log: what SLURM wrote of it.
    """
    entry = Event(
        event=event,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        host=socket.gethostname(),
        pid=os.getpid(),
        slurm_job_id=os.environ.get("SLURM_JOB_ID"),
        reason=reason,
        step=step,
        of_job=of_job,
        slurm_log=slurm_log,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FILE).open("a", encoding="utf-8") as stream:  # one write of one line: appended whole
            stream.write(entry.model_dump_json(exclude_defaults=True) + "\n")
    except OSError as error:  # a run is worth more than the notes on it
        log.warning("%s could not be written: %s", folder / FILE, error.strerror)


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Record that a computation started, and how it ended; of a user's error the caller records the reason."""
    record(folder, "started")
    try:
        yield
    except UserError:
        raise
    except SystemExit:  # it has saved its state
        record(folder, "stopped", reason="it was asked to end: time limit, cancellation or preemption")
        raise
    except KeyboardInterrupt:
        record(folder, "stopped", reason="Ctrl-C")
        raise
    except BaseException as error:
        record(folder, "failed", reason=_in_words(error))
        raise
    record(folder, "finished")


def _in_words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text:
        return "out of memory; raise hardware.memory_mb of the study, or lower training.batch_size"
    return f"{type(error).__name__}: {text[:300]}; this is a defect of crossover, see its log"


def read_events(folder: Path) -> list[Event]:
    """Return the events of a run in their order; lines that a crash has cut are left out."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [event for event in map(_parsed, lines) if event]


def _parsed(line: str) -> Event | None:
    try:
        return Event.model_validate_json(line)
    except ValidationError:
        return None
