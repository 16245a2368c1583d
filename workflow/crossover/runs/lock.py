"""A run belongs to one process at a time, on whatever node."""

import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from crossover.errors import UserError
from crossover.files import not_written
from crossover.slurm import ENDED, ask

log = logging.getLogger(__name__)
LOOK_AGAIN = 2.0  # seconds between looks at a lock that another job holds


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold the lock at `path` for the length of the block.

    The operating system gives the lock up when the process ends, however it ends. The file stays: while the lock is
    held it names the owner, and after a sudden end it still does, so that `crossover status` can tell; it is emptied
    when the block ends. Where locks do not reach other nodes (some parallel file systems), the owner's SLURM job is
    asked after instead.

    In a SLURM job the lock is waited for, since the one who holds it is a job of an earlier Snakemake whose result
    will do, and the scheduler limits the time. Elsewhere a held lock is an error at once.

    Raises:
        UserError: another living process holds the lock, or the file cannot be written.
    """
    with _opened(path) as stream:
        told = False
        while not _taken(stream):
            owner = read_owner(path) or "another process"
            if "SLURM_JOB_ID" not in os.environ:
                raise UserError(f"{what} is already being computed by {owner}; wait for it, or stop it first.")
            if not told:
                log.info("%s is being computed by %s: waiting for it", what, owner)
                told = True
            time.sleep(LOOK_AGAIN)
        _sign(stream)
        try:
            yield
        finally:
            stream.truncate(0)


def _opened(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "a+", encoding="utf-8", opener=_without_links)
    except OSError as error:
        raise not_written(path, error) from error


def _without_links(path: str, flags: int) -> int:
    """Open a file, but not through a link, which would have another file emptied."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _sign(stream: IO[str]) -> None:
    try:
        stream.truncate(0)
        os.write(stream.fileno(), json.dumps(asdict(_this_process())).encode())
    except OSError as error:
        raise not_written(stream.name, error) from error


def is_held(path: Path) -> bool:
    """Return whether a living process holds the lock at `path`."""
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return _lives_elsewhere(read_owner(path))


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock.

    Attributes:
        pid: its id.
        host: where it is.
        slurm_job_id: its SLURM job, if it is one.
        since: when it took the lock.
    """

    pid: int
    host: str
    slurm_job_id: str | None
    since: str

    def __str__(self) -> str:
        job = f"SLURM job {self.slurm_job_id}, " if self.slurm_job_id else ""
        return f"{job}process {self.pid} on {self.host} since {self.since}"


def read_owner(path: Path) -> Owner | None:
    """Return who holds the lock, or held it when it was killed; None when the last owner ended in good order."""
    try:
        return Owner(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # not there, empty, or just being written
        return None


def runs_command(pid: int, word: bytes) -> bool:
    """Return whether a process of this host lives and has a word in its command line."""
    try:
        return word in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def this_host() -> str:
    """Return the name by which this node signs."""
    return socket.gethostname()


def _taken(stream: IO[str]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # ENOLCK, ENOTSUP
        raise UserError(
            f"{stream.name}: this file system offers no locks ({error.strerror}), which keep two jobs off one run; "
            "work in a folder on another one (crossover doctor tells which will do)."
        ) from error
    if _lives_elsewhere(read_owner(Path(stream.name))):
        fcntl.flock(stream, fcntl.LOCK_UN)
        return False
    return True


def _lives_elsewhere(owner: Owner | None) -> bool:
    """Return whether the owner is a SLURM job that still runs on another node, although the file system shows no lock."""
    if not owner or not owner.slurm_job_id or owner.host == this_host():
        return False  # on this node the operating system's answer is the truth
    if owner.slurm_job_id == os.environ.get("SLURM_JOB_ID"):
        return False  # this very job, requeued to another node
    states = set(ask("squeue", "--noheader", "--format=%T", f"--jobs={owner.slurm_job_id}").out.split())
    return bool(states - ENDED - {"PENDING", "REQUEUED"})


def _this_process() -> Owner:
    return Owner(os.getpid(), this_host(), os.environ.get("SLURM_JOB_ID"), f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
