"""Find the SLURM jobs of an earlier Snakemake in this folder that was killed before it could cancel them.

Such orphans carry the name of the Snakemake that submitted them, `crossover-<host>-<pid>_...` (see profiles/slurm). A
pending one would start later, beside the job that takes its place, and is cancelled. A running one is left to end: the
run's lock makes the job that takes its place wait, and use its result.
"""

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from crossover.runs.lock import runs_command
from crossover.slurm import ask

NAME = re.compile(r"crossover-(?P<host>[A-Za-z0-9-]*)-(?P<pid>\d+)_")


@dataclass(frozen=True)
class SlurmJob:
    """A SLURM job: its id, state (PENDING, RUNNING, ...) and name."""

    id: str
    state: str
    name: str


def session_name() -> str:
    """Return the prefix of the names of the jobs that this process submits; profiles/slurm asks for it."""
    return f"crossover-{_host()}-{os.getpid()}"


def jobs_here() -> list[SlurmJob]:
    """List the user's own SLURM jobs that were submitted from the working folder."""
    answer = ask("squeue", "--me", "--noheader", "--format=%i|%T|%j|%Z")
    rows = [line.split("|", 3) for line in answer.out.splitlines()]
    return [SlurmJob(*row[:3]) for row in rows if len(row) == 4 and row[3] == str(Path.cwd())]


def is_orphan(job: SlurmJob) -> bool:
    """Return whether the Snakemake that submitted a job is known to have ended, on this host."""
    name = NAME.match(job.name)
    return name is not None and name["host"] == _host() and not _is_snakemake(int(name["pid"]))


def cancel_pending_orphans() -> list[str]:
    """Cancel the orphans that wait in the queue; return what to tell the user."""
    orphans = [job for job in jobs_here() if is_orphan(job)]
    waiting = [job.id for job in orphans if job.state == "PENDING"]
    running = [job.id for job in orphans if job.state != "PENDING"]
    said = []
    if waiting:
        ask("scancel", "--state=PENDING", *waiting)
        said.append(f"{len(waiting)} jobs of an earlier Snakemake that was killed waited in the queue: cancelled.")
    if running:
        said.append(
            f"{len(running)} jobs of an earlier Snakemake that was killed still run and are left to end "
            f"({' '.join(running)}); their runs are not computed a second time."
        )
    return said


def cancel_own() -> list[str]:
    """Cancel the jobs of this process that would outlive it; return what to tell the user.

    After Ctrl-C the SLURM plugin (2.8) cancels the jobs that it has listed at that moment: none while it asks for their
    states, and none of those that are being submitted.
    """
    own = [job for job in jobs_here() if job.name.startswith(f"{session_name()}_") and job.state != "COMPLETING"]
    if not own:
        return []
    ask("scancel", *(job.id for job in own))
    return [f"{len(own)} jobs were still queued or running: cancelled."]


def _host() -> str:
    return re.sub("[^A-Za-z0-9-]", "-", socket.gethostname().split(".")[0])[:24]


def _is_snakemake(pid: int) -> bool:
    return pid == os.getpid() or runs_command(pid, b"snakemake")
