"""Say in words why the jobs of a study would run: `crossover explain`."""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from crossover import export_path
from crossover.commands.output import table, waiting
from crossover.config.load import chosen_study
from crossover.errors import UserError
from crossover.files import read_json
from crossover.planning.plan import Plan, make_plan
from crossover.planning.snapshot import SPECS
from crossover.specs.load import ABOUT, AnySpec

if TYPE_CHECKING:
    from rich.console import RenderableType

ABSENT = object()
# What Snakemake gives as the reason of a job, and what we say.
REASONS = {
    "Missing output files": "its files are missing",
    "Input files updated by another job": "what it reads is made anew",
    "Updated input files": "what it reads has changed",
    "Set of input files has changed": "it reads other files than before",
    "Params have changed": "its settings have changed",
    "Code has changed": "its command has changed",
    "Forced execution": "it is always run",
    "Rules with neither input nor output": "it is always run",
    "Incomplete": "it was interrupted",
}


@dataclass(frozen=True)
class PlannedJob:
    """A job that Snakemake plans: its rule, its wildcards, and Snakemake's own reason."""

    rule: str
    wildcards: dict[str, str]
    reason: str

    @property
    def about(self) -> str:
        """The name of the spec that it computes, whatever its seed; an analysis is named in two wildcards."""
        return ".".join(value for name, value in self.wildcards.items() if name != "seed")


@dataclass(frozen=True)
class Cause:
    """The jobs of one rule that would run for one reason.

    Attributes:
        rule: the rule.
        reason: why they would run, in words.
        jobs: the jobs.
    """

    rule: str
    reason: str
    jobs: tuple[PlannedJob, ...]

    def line(self) -> str:
        """Return the cause in one line, with the name of one job."""
        example = self.jobs[0].about
        of = f" such as {example}" if len(self.jobs) > 1 and example else f" {example}" if example else ""
        return f"  {self.rule} x {len(self.jobs)}{of}: {self.reason}"


@dataclass(frozen=True)
class Explanation:
    """Why the jobs of a study would run, jobs with one cause together."""

    study: str
    causes: tuple[Cause, ...]

    @property
    def head(self) -> str:
        """How many jobs would run, in a sentence."""
        jobs = sum(len(cause.jobs) for cause in self.causes)
        if not jobs:
            return f"Nothing would run: study {self.study} is complete and up to date."
        return f"Study {self.study}: {jobs} jobs would run."

    def text(self) -> str:
        """Return a line for each cause."""
        return "\n".join([self.head, *(cause.line() for cause in self.causes)])

    def facts(self) -> dict[str, object]:
        """Return each cause with the wildcards of its jobs."""
        causes = [
            {"rule": cause.rule, "reason": cause.reason, "jobs": [job.wildcards for job in cause.jobs]}
            for cause in self.causes
        ]
        return {"study": self.study, "causes": causes}

    def page(self) -> "RenderableType":
        """Return a table of the causes."""
        from rich.console import Group
        from rich.text import Text

        rows = [(cause.rule, str(len(cause.jobs)), cause.reason, cause.jobs[0].about) for cause in self.causes]
        parts = [table(("rule", "jobs", "because", "such as"), rows)] if rows else []
        return Group(Text(self.head, style="bold"), *parts)


def explain(study: str | None) -> Explanation:
    """Say why each job of a study would run.

    Args:
        study: name or path of a study, or None for the one in config/config.yaml.

    Raises:
        UserError: the study cannot be planned.
    """
    study = chosen_study(study)
    with waiting(f"planning study {study}"):
        plan = make_plan(study)
        causes: dict[tuple[str, str], list[PlannedJob]] = defaultdict(list)
        for job in planned_jobs(study):
            causes[job.rule, _cause(job, plan)].append(job)
    return Explanation(plan.name, tuple(Cause(*key, tuple(jobs)) for key, jobs in causes.items()))


def planned_jobs(study: str) -> list[PlannedJob]:
    """List the jobs of a dry run, without the target rule.

    Raises:
        UserError: Snakemake cannot plan the study.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs = Path(folder, "jobs.jsonl")
        logger = ["--logger", "planned-jobs", "--logger-planned-jobs-file", str(jobs)]  # the plugin beside this package
        command = [sys.executable, "-m", "snakemake", "--dry-run", *logger, "--config", f"study={study}"]
        export_path()
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            said = (run.stdout + run.stderr).strip().splitlines()
            raise UserError(f"snakemake cannot plan study {study}: {said[-1] if said else 'it said nothing'}")
        lines = jobs.read_text(encoding="utf-8").splitlines() if jobs.exists() else []
    found = [json.loads(line) for line in lines]
    return [PlannedJob(job["rule"], job["wildcards"], job["reason"]) for job in found if job["rule"] != "all"]


def _cause(job: PlannedJob, plan: Plan) -> str:
    spec = plan.specs.get(job.about)
    if spec and "Missing output files" in job.reason:
        seed = Path(f"seed-{job.wildcards['seed']}") if "seed" in job.wildcards else Path()
        if not _made(spec.name):
            return _novelty(spec, plan)
        if not _made(spec.name / seed):
            return f"its {seed.name.replace('-', ' ')} has not been computed yet"
    words = [ours for theirs, ours in REASONS.items() if theirs in job.reason]
    return "; ".join(words) or job.reason


def _made(name: str | Path) -> bool:
    """Return whether there are files of that name, or of one seed of it."""
    results = ("tasks", "tokens", "checkpoints", "architectures", "runs", "analyses", "baselines")
    folders = ("resources/downloads", *(f"results/{name}" for name in results))
    return any(any(path.is_file() for path in Path(folder, name).rglob("[!.]*")) for folder in folders)


def _novelty(spec: AnySpec, plan: Plan) -> str:
    """Say how a spec that was never computed differs from the most similar one that was."""
    new = _changeable(spec.content())
    earlier = {path.stem: read_json(path) for path in SPECS.glob(f"{spec.stem}-{'[0-9a-f]' * 8}.json")}
    candidates = [
        differences(_changeable(old), new, plan) for name, old in earlier.items() if name != spec.name and _made(name)
    ]
    if not candidates:
        return "it has not been computed yet"
    return "; ".join(sorted(candidates, key=len)[0])


def _changeable(content: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of a spec that can change its result; specs of earlier versions may lack some."""
    return {key: value for key, value in content.items() if key not in {"name", *ABOUT}}


def differences(old: object, new: object, plan: Plan, at: str = "") -> list[str]:
    """Say what differs between two specs, each difference in words; names of other specs are followed.

    Args:
        old: the content of a spec, or a part of it.
        new: the same part of another spec.
        plan: where the spec of a new name is found.
        at: the dotted key of the part.
    """
    if old == new or at == "checkpoint.folder":
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*new, *(key for key in old if key not in new)]
        parts = [
            differences(old.get(key, ABSENT), new.get(key, ABSENT), plan, f"{at}.{key}".lstrip(".")) for key in keys
        ]
        return list(dict.fromkeys(difference for part in parts for difference in part))
    if at.startswith("code."):  # where a module is gone, another one has changed to leave it out
        return [] if new is ABSENT else [f"the code of {at.removeprefix('code.')} has changed"]
    if at in ("learning_rates.lower", "learning_rates.higher"):
        counts = [len(value) if isinstance(value, list) else 0 for value in (old, new)]
        if counts[0] != counts[1]:
            return [f"{at}: {counts[0]} -> {counts[1]} further decades"]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        parts = [differences(a, b, plan, at) for a, b in zip(old, new, strict=True)]
        return list(dict.fromkeys(difference for part in parts for difference in part))
    if isinstance(old, str) and isinstance(new, str) and new in plan.specs and (SPECS / f"{old}.json").exists():
        before = _changeable(read_json(SPECS / f"{old}.json"))
        return differences(before, _changeable(plan.specs[new].content()), plan)
    return [f"{at}: {_shown(old)} -> {_shown(new)}"]


def _shown(value: object) -> str:
    if value is ABSENT:
        return "nothing"
    text = str(yaml.safe_dump(value, default_flow_style=True, width=10_000))
    return text.removesuffix("\n").removesuffix("\n...")
