"""Say how far a study is: `crossover status`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crossover.commands.output import table
from crossover.planning.snapshot import plan_of
from crossover.runs.status import Overview, RunState, describe, describe_failures

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Status:
    """How far a study is."""

    overview: Overview

    def text(self) -> str:
        """Return the progress in one line, then what runs, what stopped and what failed."""
        return describe(self.overview)

    def facts(self) -> dict[str, object]:
        """Return the number of runs in each state, the seconds left, and every run."""
        return {
            "study": self.overview.study,
            "done": len(self.overview.of("done")),
            "running": len(self.overview.of("running")),
            "failed": len(self.overview.of("failed")),
            "waiting": len(self.overview.of("waiting")),
            "seconds_left": self.overview.seconds_left(),
            "runs": list(map(_facts_of_run, self.overview.states)),
        }

    def page(self) -> "RenderableType":
        """Return a progress bar, a table of the runs that run or go on later, and what failed."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        overview = self.overview
        done = ProgressBar(total=len(overview.states), completed=len(overview.of("done")), width=60)
        parts: list[RenderableType] = [Text(f"Study {overview.study}: {overview.line()}.", style="bold"), done]
        shown = [run for run in overview.states if run.state == "running" or _goes_on(run)]
        if rows := [_row(run) for run in shown]:
            parts.append(table(("run", "seed", "state", "step", "where", ""), rows))
        parts += [Text(line, style="red") for line in describe_failures(overview)]
        return Group(*parts)


def status(study: str | None) -> Status:
    """Read the states of a study's runs from their folders.

    Args:
        study: name or path of a study, or None for the one in config/config.yaml.

    Raises:
        UserError: the study was never started, and cannot be planned.
    """
    return Status(Overview(plan_of(study).study).look())


def _goes_on(run: RunState) -> bool:
    return run.state == "waiting" and bool(run.reason)


def _row(run: RunState) -> tuple[str, ...]:
    step = f"{run.step[0]} of {run.step[1]}" if run.step else ""
    return run.run, str(run.seed), "running" if run.state == "running" else "to go on", step, run.place(), run.reason


def _facts_of_run(run: RunState) -> dict[str, object]:
    step, max_steps = run.step or (None, None)
    return {
        "run": run.run,
        "seed": run.seed,
        "state": run.state,
        "reason": run.reason or None,
        "step": step,
        "max_steps": max_steps,
        "seconds": run.seconds or None,
        "host": run.host,
        "slurm_job_id": run.slurm_job_id,
        "log": run.log,
    }
