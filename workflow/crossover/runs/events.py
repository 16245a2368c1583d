"""What has happened to a run, one line for each event, for people and for `crossover status`.

Snakemake deletes the log of a run before each attempt, and its declared outputs after a failed one; this file stays.
"""

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from crossover.errors import UserError

log = logging.getLogger(__name__)
FILE = "events.jsonl"
Event = Literal[
    "started", "resumed", "saved", "stopped", "failed", "finished", "restored", "job failed", "to be retried"
]


def record(folder: Path, event: Event, **facts: Any) -> None:
    """Append one event to a run's events, with time, host, process and SLURM job.

    Args:
        folder: the run's folder with its seed.
        event: what happened.
        facts: JSON values such as `step` or `reason`.
    """
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "event": event,
        **facts,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FILE).open("a", encoding="utf-8") as stream:  # one write of one line: appended whole
            stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
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


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The events of a run in their order; lines that a crash has cut are left out."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [entry for entry in map(_parsed, lines) if entry]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "event" in entry else None
