"""The training state of a run: saved whole, verified when read, with the one before kept beside it."""

import contextlib
import hashlib
import io
import json
import logging
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch

from crossover.files import replacing

log = logging.getLogger(__name__)
TrainingState = dict[str, Any]  # tensors, and what optimizers keep
DIGEST_BYTES = 32
PROGRESS = "progress.json"
REPORT_EVERY = 5.0  # seconds


class Store(Protocol):
    """Where the training loop saves its state, and leaves notes of its progress."""

    @property
    def folder(self) -> Path:
        """Where it lies."""

    def due(self) -> bool:
        """Return whether it is time to save."""

    def save(self, state: TrainingState) -> None:
        """Save a state."""

    def load(self) -> TrainingState | None:
        """Return the state to go on from, or None."""

    def report(self, step: int, max_steps: int, speed: float) -> None:
        """Leave a note of the progress."""


class StateStore:
    """Two generations of training state in a folder that Snakemake does not know.

    Snakemake deletes the declared outputs of a failed job, so what a retry needs lies elsewhere.

    Attributes:
        every: seconds between saves.
    """

    def __init__(self, folder: Path, every: float) -> None:
        self.folder, self.every = folder, every
        self.latest, self.previous = folder / "latest.pt", folder / "previous.pt"
        self._last_save = time.monotonic()
        self._last_report = -REPORT_EVERY

    def due(self) -> bool:
        """Return whether the last save is at least `every` seconds ago."""
        return time.monotonic() - self._last_save >= self.every

    def save(self, state: TrainingState) -> None:
        """Write a new state in one step; the one before stays as `previous`.

        Raises:
            UserError: the disk is full or the folder cannot be written; both earlier states are still there.
        """
        self._last_save = time.monotonic()
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getvalue()
        with replacing(self.latest) as temporary:
            temporary.write_bytes(hashlib.sha256(payload).digest() + payload)
            if self.latest.exists():
                self.latest.replace(self.previous)

    def load(self) -> TrainingState | None:
        """Return the newest intact state, or None; a damaged one is logged and skipped."""
        for path in (self.latest, self.previous):
            if not path.exists():
                continue
            content = path.read_bytes()
            digest, payload = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
            if hashlib.sha256(payload).digest() == digest:
                state: TrainingState = torch.load(io.BytesIO(payload), weights_only=True)
                return state
            log.warning("the training state %s is damaged and is not used", path)
        return None

    def report(self, step: int, max_steps: int, speed: float) -> None:
        """Leave a note of the progress for `crossover status`, at most every few seconds.

        Args:
            step: steps done.
            max_steps: steps at most.
            speed: steps per second.
        """
        if time.monotonic() - self._last_report < REPORT_EVERY:
            return
        self._last_report = time.monotonic()
        temporary = self.folder / f".{PROGRESS}"
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"step": step, "max_steps": max_steps, "steps_per_second": speed}))
            temporary.replace(self.folder / PROGRESS)

    def clear(self) -> None:
        """Remove the states of a run that has ended, and what a kill in the middle of a save left beside them."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Interruption:
    """Whether the process was asked to end: SIGTERM (time limit, cancellation, preemption) or SIGINT (Ctrl-C)."""

    requested = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait for the save
        self.requested = True


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn SIGTERM and SIGINT into a request that the training loop answers between two steps."""
    interruption = Interruption()
    before = {number: signal.signal(number, interruption._note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
