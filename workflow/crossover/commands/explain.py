"""Say in words why the jobs of a study would run."""

import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from crossover.config.load import chosen_study
from crossover.errors import UserError
from crossover.files import read_json
from crossover.planning.plan import Plan, make_plan
from crossover.specs.identity import WITHOUT_IDENTITY

SPECS = Path("results/specs")
NAME_WITH_HASH = re.compile(r"(?P<stem>[a-z0-9.-]+)-[0-9a-f]{8}")
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
class Job:
    """A job that Snakemake plans: its rule, its wildcards, and Snakemake's own reason."""

    rule: str
    wildcards: dict[str, str]
    reason: str

    @property
    def spec(self) -> str:
        """The name of the spec that it computes, whatever its seed; an analysis is named in two wildcards."""
        return ".".join(value for name, value in self.wildcards.items() if name != "seed")


def explain(study: str | None) -> str:
    """Why each job of a study would run, jobs with one cause on one line.

    Args:
        study: name or path of a study, or None for the one in config/config.yaml.

    Raises:
        UserError: the study cannot be planned.
    """
    study = chosen_study(study)
    plan = make_plan(study)
    jobs = planned_jobs(study)
    if not jobs:
        return f"Nothing would run: study {plan.study} is complete and up to date."
    causes: dict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in jobs:
        causes[job.rule, _cause(job, plan)].append(job)
    lines = [f"Study {plan.study}: {len(jobs)} jobs would run."]
    for (rule, cause), members in causes.items():
        example = members[0].spec
        of = f" such as {example}" if len(members) > 1 and example else f" {example}" if example else ""
        lines.append(f"  {rule} x {len(members)}{of}: {cause}")
    return "\n".join(lines)


def planned_jobs(study: str) -> list[Job]:
    """The jobs of a dry run, without the target rule and the writing of specs, which cost nothing.

    Raises:
        UserError: Snakemake cannot plan the study.
    """
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--nocolor",
        "--quiet",
        "host",
        "--config",
        f"study={study}",
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    output = run.stdout + run.stderr
    if run.returncode:
        raise UserError(f"snakemake cannot plan study {study}: {output.strip().splitlines()[-1]}")
    jobs = {}
    for block in re.split(r"\n(?=(?:local)?(?:rule|checkpoint) \w+:\n)", output):
        if not (rule := re.match(r"(?:local)?(?:rule|checkpoint) (\w+):\n", block)) or rule[1] in {"all", "write_spec"}:
            continue
        fields = dict(re.findall(r"^    (\w+): (.*)$", block, flags=re.MULTILINE))
        wildcards = dict(pair.split("=", 1) for pair in fields.get("wildcards", "").split(", ") if pair)
        jobs[fields["jobid"]] = Job(rule[1], wildcards, fields.get("reason", ""))
    return list(jobs.values())


def _cause(job: Job, plan: Plan) -> str:
    spec = plan.specs.get(job.spec)
    if spec and "Missing output files" in job.reason:
        seed = Path(f"seed-{job.wildcards['seed']}") if "seed" in job.wildcards else Path()
        if not _made(spec["name"]):
            return _novelty(spec, plan)
        if not _made(spec["name"] / seed):
            return f"its {seed.name.replace('-', ' ')} has not been computed yet"
    words = [ours for theirs, ours in REASONS.items() if theirs in job.reason]
    return "; ".join(words) or job.reason


def _made(name: str | Path) -> bool:
    """Whether there are files of that name, or of one seed of it."""
    results = ("tasks", "tokens", "checkpoints", "runs", "analyses")
    folders = ("resources/downloads", *(f"results/{name}" for name in results))
    return any(any(path.is_file() for path in Path(folder, name).rglob("[!.]*")) for folder in folders)


def _novelty(spec: dict[str, Any], plan: Plan) -> str:
    """How a spec that was never computed differs from the most similar one that was."""
    match = NAME_WITH_HASH.fullmatch(spec["name"])
    earlier = [read_json(path) for path in SPECS.glob(f"{match['stem']}-*.json")] if match else []
    candidates = [
        differences(old, spec, plan)
        for old in earlier
        if old["name"] != spec["name"] and _made(old["name"]) and old.get("score_test") == spec.get("score_test")
    ]
    if not candidates:
        return "it has not been computed yet"
    return "; ".join(sorted(candidates, key=len)[0])


def differences(old: Any, new: Any, plan: Plan, at: str = "") -> list[str]:
    """What differs between two specs, each difference in words; names of other specs are followed.

    Args:
        old: a spec, or a part of one.
        new: the same part of another spec.
        plan: where the spec of a new name is found.
        at: the dotted key of the part.
    """
    if old == new or at in {*WITHOUT_IDENTITY, "checkpoint.folder"}:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*new, *(key for key in old if key not in new)]
        parts = [
            differences(old.get(key, ABSENT), new.get(key, ABSENT), plan, f"{at}.{key}".lstrip(".")) for key in keys
        ]
        return list(dict.fromkeys(difference for part in parts for difference in part))
    if at.startswith("code.") and new is ABSENT:
        return []  # some other module has changed to leave it out
    if at.startswith("code."):
        return [f"the code of {at.removeprefix('code.')} has changed"]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        parts = [differences(a, b, plan, at) for a, b in zip(old, new, strict=True)]
        return list(dict.fromkeys(difference for part in parts for difference in part))
    followed = _followed(old, new, plan)
    if followed is not None:
        return differences(*followed, plan)
    return [f"{at}: {_shown(old)} -> {_shown(new)}"]


def _followed(old: Any, new: Any, plan: Plan) -> tuple[Any, Any] | None:
    """The two specs, where two different values are names of specs of one kind of thing."""
    if not (isinstance(old, str) and isinstance(new, str) and new in plan.specs and (SPECS / f"{old}.json").exists()):
        return None
    return {**read_json(SPECS / f"{old}.json"), "name": ""}, {**plan.specs[new], "name": ""}


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")
