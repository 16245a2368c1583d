"""How far a study is: what its runs have left in their folders, read by anyone at any time."""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from crossover.errors import UserError
from crossover.files import read_json
from crossover.runs.events import Event, read_events
from crossover.runs.files import is_complete, log_file, run_folder
from crossover.runs.lock import Owner, read_owner, runs_command, this_host
from crossover.specs.descriptions import Provenance
from crossover.specs.studies import StudySpec

State = Literal["done", "running", "failed", "waiting"]
RECENT = 30  # finished runs that the speed is measured on
SILENCE = 900  # seconds without a sign of life after which a run on another host is pointed out
LOGGED_ERROR = re.compile(r"[\d-]+ [\d:]+ ERROR (.*)")
SHOWN = 5  # failed runs shown for each cause


@dataclass(frozen=True)
class RunState:
    """Where one run with one seed stands.

    Attributes:
        run: its name.
        seed: its seed.
        state: done, running, failed (at its last attempt), or waiting (never started,
            stopped and to go on, or failed and to be tried again).
        reason: why it failed or stopped, one sentence, or "".
        slurm_job_id: of its last attempt, if that was a SLURM job.
        host: of its last attempt.
        step: steps done, and at most, as far as they are known.
        seconds: what it took, once it is done.
        finished: when it was done, in seconds since 1970, if its events say so.
        slurm_log: what SLURM wrote of its last attempt.
    """

    run: str
    seed: int
    state: State
    reason: str = ""
    slurm_job_id: str | None = None
    host: str | None = None
    step: tuple[int, int] | None = None
    seconds: float = 0.0
    finished: float | None = None
    slurm_log: str | None = None

    @property
    def log(self) -> str:
        """The path of its log, or of SLURM's where the run could not write its own."""
        own = log_file(self.run, self.seed)
        written = Path(own).exists() and Path(own).stat().st_size  # Snakemake leaves an empty one
        return self.slurm_log if self.slurm_log and not written else own

    def place(self) -> str:
        """Say where its last attempt was."""
        return f"SLURM job {self.slurm_job_id}" if self.slurm_job_id else self.host or ""


def state_of(run: str, seed: int) -> RunState:
    """Return where one run with one seed stands, from the files in its folder alone."""
    folder = run_folder(run, seed)
    owner = read_owner(folder / ".lock")
    if owner and _lives(owner, folder):
        found = _progress(folder)
        quiet = time.time() - _last_sign(folder)
        silent = owner.host != this_host() and quiet > SILENCE
        reason = f"no sign of life for {quiet / 60:.0f} minutes" if silent else ""
        return RunState(run, seed, "running", reason, owner.slurm_job_id, owner.host, found)
    if is_complete(folder):
        return RunState(run, seed, "done", seconds=_seconds(folder), finished=_finished(folder))
    history = read_events(folder)
    if not history:
        return RunState(run, seed, "waiting")
    return _ended(run, seed, folder, history, owner)


def reason_of(run: str, seed: int) -> tuple[str, str]:
    """Why a run has no results, in a sentence, and the path of its log."""
    found = state_of(run, seed)
    words = {"running": "it is being computed", "waiting": "it has not been computed"}
    return found.reason or words.get(found.state, ""), found.log


def _ended(run: str, seed: int, folder: Path, history: list[Event], owner: Owner | None) -> RunState:
    """Return the state of a run that was started, has no results, and does not run now."""
    retried = history[-1].event == "to be retried"
    last = history[-2 if retried and len(history) > 1 else -1]
    job = last.of_job or last.slurm_job_id
    waiting = RunState(run, seed, "waiting", "", job, last.host, _progress(folder))
    attempt = _since_start(history)
    own = [entry.reason for entry in attempt if entry.event == "failed"]
    of_jobs = [entry.reason for entry in attempt if entry.event == "job failed"]
    if len(of_jobs) > 1:  # the last job ended before the run had begun
        own = []
    own = own or _logged_error(waiting.log)  # on a full disk no event can be written
    # What the run itself said is better than what the scheduler knows of it.
    if reasons := own or of_jobs:
        if retried:
            return replace(waiting, reason=f"to be tried again, {reasons[-1]}")
        return replace(waiting, state="failed", reason=reasons[-1], slurm_log=last.slurm_log)
    if owner:
        return replace(waiting, state="failed", reason=_died(owner))
    return replace(waiting, reason=last.reason)


def _since_start(history: list[Event]) -> list[Event]:
    starts = [index for index, entry in enumerate(history) if entry.event == "started"]
    return history[starts[-1] if starts else 0 :]


def _logged_error(log: str) -> list[str]:
    """Return the errors in a run's log, which holds one attempt alone."""
    try:
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [found[1] for found in map(LOGGED_ERROR.match, lines) if found]


def _died(owner: Owner) -> str:
    ask = f"; ask sacct -j {owner.slurm_job_id}" if owner.slurm_job_id else ""
    return f"it exited without an error message: killed, out of memory, or its node failed{ask}"


def _lives(owner: Owner, folder: Path) -> bool:
    """Return whether the owner of a lock is at work: on this host by its process, elsewhere by what it last said."""
    if owner.host != this_host():
        history = read_events(folder)
        return not history or history[-1].event != "job failed"
    return runs_command(owner.pid, b"crossover")


def _last_sign(folder: Path) -> float:
    paths = [folder / ".lock", folder / "events.jsonl", folder / "state/progress.json", folder / "state/latest.pt"]
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


def _progress(folder: Path) -> tuple[int, int] | None:
    try:
        found = read_json(folder / "state/progress.json")
        return int(found["step"]), int(found["max_steps"])
    except (UserError, KeyError, TypeError, ValueError):
        return None


def _seconds(folder: Path) -> float:
    try:
        return Provenance.load(folder / "provenance.json").seconds
    except UserError:
        return 0.0


def _finished(folder: Path) -> float | None:
    ends = [entry.time for entry in read_events(folder) if entry.event == "finished"]
    return datetime.fromisoformat(ends[-1]).timestamp() if ends else None


# --- the whole study --------------------------------------------------------------------------------------


class Overview:
    """The states of all runs of a study; what is done is not read again."""

    def __init__(self, study: StudySpec) -> None:
        self.study, self._wanted = study.study, study.runs
        # Runs of one task and condition take about as long as each other.
        self._cells = {cell.run: cell for cell in study.cells}
        self._done: dict[tuple[str, int], RunState] = {}
        self.states: list[RunState] = []

    def look(self) -> "Overview":
        """Read the states anew."""
        self.states = [self._done.get(key) or state_of(*key) for key in self._wanted]
        self._done = {(one.run, one.seed): one for one in self.states if one.state == "done"}
        return self

    def forget(self) -> None:
        """Read what was done again at the next look."""
        self._done = {}

    def of(self, state: State) -> list[RunState]:
        """Return the runs in one state."""
        return [one for one in self.states if one.state == state]

    def line(self) -> str:
        """Return the progress in one line."""
        counts = Counter(one.state for one in self.states)
        parts = [f"{counts['done']} of {len(self.states)} runs done", f"{counts['running']} running"]
        parts += [f"{counts['failed']} failed"] if counts["failed"] else []
        left = self.seconds_left()
        return ", ".join(parts) + (f"; about {duration(left)} left" if left is not None else "")

    def seconds_left(self) -> float | None:
        """Estimate what the remaining runs will take, by what runs of their kind took and at the speed of the last ones.

        Returns:
            Seconds, or None when nothing runs or too few runs have finished.
        """
        rest = [one for one in self.states if one.state in ("running", "waiting")]
        speed = self._speed()
        if speed is None or not self.of("running"):
            return None
        took: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for one in self.of("done"):
            for group in self._groups(one):
                took[group].append(one.seconds)
        work = 0.0
        for one in rest:
            past = next(took[group] for group in self._groups(one) if group in took)
            share = 1 - one.step[0] / one.step[1] if one.step else 1.0
            work += share * sum(past) / len(past)
        return work / speed

    def _groups(self, one: RunState) -> list[tuple[str, ...]]:
        """Return the groups of runs that a run is compared with, the most similar first: task and condition, task, all."""
        cell = self._cells[one.run]
        return [(cell.task, cell.condition), (cell.task,), ()]

    def _speed(self) -> float | None:
        """Return the seconds of runs that are finished per second of the clock: how many run side by side, waiting included."""
        ends = sorted((one.finished, one.seconds) for one in self.of("done") if one.finished is not None)[-RECENT:]
        if len(ends) < 3 or ends[-1][0] <= ends[0][0]:
            return None
        return sum(seconds for _, seconds in ends[1:]) / (ends[-1][0] - ends[0][0]) or None


def by_cause(states: Iterable[RunState]) -> list[tuple[str, list[RunState]]]:
    """Group runs that failed for one reason, the commonest reason first."""
    causes: dict[str, list[RunState]] = defaultdict(list)
    for one in states:
        reason = one.reason.replace(f"{run_folder(one.run, one.seed)}/", "").replace(one.run, "the run")
        causes[reason or "no reason is known"].append(one)
    return sorted(causes.items(), key=lambda cause: -len(cause[1]))


def describe_failures(overview: Overview) -> list[str]:
    """Return lines that name what failed, grouped by cause."""
    lines = []
    for cause, members in by_cause(overview.of("failed")):
        lines.append(f"{len(members)} failed: {cause}")
        for one in members[:SHOWN]:
            where = f"  {one.place()}" if one.place() else ""
            lines.append(f"    {one.run} seed {one.seed}{where}\n        {one.log}")
        if len(members) > SHOWN:
            lines.append(f"    and {len(members) - SHOWN} more")
    return lines


def describe(overview: Overview) -> str:
    """Return all that `crossover status` says of a study."""
    lines = [f"Study {overview.study}: {overview.line()}."]
    for one in overview.of("running"):
        step = f"step {one.step[0]} of {one.step[1]}" if one.step else "starting"
        lines.append(f"  running  {one.run} seed {one.seed}  {step}  {one.place()}  {one.reason}".rstrip())
    stopped = [one for one in overview.of("waiting") if one.reason]
    for one in stopped[:SHOWN]:
        step = f" at step {one.step[0]} of {one.step[1]}" if one.step else ""
        lines.append(f"  to go on  {one.run} seed {one.seed}{step}: {one.reason}")
    lines += [f"  {line}" for line in describe_failures(overview)]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return a length of time in words."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
