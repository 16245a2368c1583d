"""The facts that the report shows beside the numbers: cards of tasks, checkpoints, and how everything was computed."""

import math
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd

from crossover.files import check_file
from crossover.specs.descriptions import (
    Card,
    CheckpointDescription,
    EncodingDescription,
    PretrainedDescription,
    Provenance,
)
from crossover.specs.studies import StudySpec, StudyTask
from crossover.statistics.partial import MissingRun, Part
from crossover.statistics.records import read_table
from crossover.statistics.tables import StudyTables

COLUMNS = {
    "runs": ["study", "task", "checkpoint", "condition", "run", "seed", "learning_rate", "validation_score", "test_score",
             "steps", "best_step", "stopped_early", "path"],
    "rates": ["task", "checkpoint", "condition", "seed", "learning_rate", "validation_score", "selected"],
    "cells": ["task", "checkpoint", "condition", "run", "train_items", "learning_rate", "seeds_with_rate", "seeds", "seeds_constant",
              "seeds_at_floor", "did_train", "score", "sd_seeds", "low", "high",
              "interval_over", "interval_method", "floor", "above_floor", "items", "groups", "parameters_trained",
              "parameters_used", "parameters_total", "threshold", "reached", "median_steps"],
    "contrasts": ["task", "checkpoint", "other_checkpoint", "kind", "question", "a", "b", "held", "difference", "low", "high", "p", "p_holm",
                  "outcome", "detectable", "seeds_needed", "items", "groups", "seeds"],
    "baselines": ["task", "baseline", "train_items", "model", "features", "strength", "candidates", "validation_score",
                  "linear_validation_score", "seeds", "score", "sd_seeds", "low", "high", "floor", "items", "groups"],
    "baseline_contrasts": ["task", "checkpoint", "condition", "difference", "low", "high", "p_holm", "outcome"],
    "pooled": ["checkpoint", "other_checkpoint", "kind", "question", "a", "b", "metric", "train_items", "tasks", "difference", "low",
               "high", "i2", "new_task_low", "new_task_high"],
    "convergence": ["task", "checkpoint", "condition", "run", "seed", "threshold", "steps", "censored", "steps_run"],
    "speed": ["checkpoint", "a", "b", "held", "tasks", "runs", "earlier", "later", "tied", "p", "p_holm"],
    "curves": ["task", "checkpoint", "condition", "run", "seed", "step", "split", "loss", "score"],
    "costs": ["role", "run", "seed", "seconds", "cpu_seconds", "peak_memory_mb", "host", "device", "threads", "started",
              "ended", "resumed", "slurm_job_id", "path"],
}  # fmt: skip


def read_tables(folder: Path) -> StudyTables:
    """Read the columns that the report shows of a study's tables.

    Raises:
        UserError: one is missing or damaged.
    """
    return StudyTables(**{name: read_table(folder / f"{name}.parquet", columns) for name, columns in COLUMNS.items()})


# --- tasks and checkpoints --------------------------------------------------------------------------------


@dataclass(frozen=True)
class UsedEncoding:
    """An encoding of a task.

    Attributes:
        path: of its description.
        description: what it says.
        checkpoints: the names of those that read it.
    """

    path: str
    description: EncodingDescription
    checkpoints: list[str]


@dataclass(frozen=True)
class PretrainingRun:
    """What pretraining a checkpoint reported, and its curve: columns step, split, loss (nats per token, or squared error)."""

    description: PretrainedDescription
    curve: pd.DataFrame


def tasks_with_sizes(spec: StudySpec) -> dict[str, list[str]]:
    """Return, for each task by its name with most training items, its names with every number of them, fewest first."""
    names: dict[str, list[str]] = {}
    for name, task in sorted(spec.tasks.items(), key=lambda item: item[1].train_items or math.inf):
        names.setdefault(task.of, []).append(name)
    order = dict.fromkeys(task.of for task in spec.tasks.values())
    return {names[task][-1]: names[task] for task in order}


def read_cards(spec: StudySpec) -> dict[str, Card]:
    """Read the card of each task."""
    return {name: Card.load(Path(task.card)) for name, task in spec.tasks.items()}


def read_encodings(spec: StudySpec) -> dict[str, list[UsedEncoding]]:
    """Read the encodings of each task, in the order of the paths of their descriptions."""
    return {name: _encodings_of(task) for name, task in spec.tasks.items()}


def _encodings_of(task: StudyTask) -> list[UsedEncoding]:
    return [
        UsedEncoding(
            path=path,
            description=EncodingDescription.load(Path(path)),
            checkpoints=[name for name, own in task.encodings.items() if own == path],
        )
        for path in sorted(set(task.encodings.values()))
    ]


def read_pretraining(spec: StudySpec) -> dict[str, PretrainingRun]:
    """Read what pretraining reported of each checkpoint that was pretrained here."""
    return {name: _read_pretraining(Path(one.pretraining)) for name, one in spec.checkpoints.items() if one.pretraining}


def read_changes(spec: StudySpec) -> dict[str, tuple[str, ...]]:
    """Read how the files of checkpoints that were made elsewhere differ from those that were published, in words."""
    fetched = {name: one.fetched for name, one in spec.checkpoints.items() if one.fetched}
    return {name: CheckpointDescription.load(Path(path)).changes for name, path in fetched.items()}


def _read_pretraining(path: Path) -> PretrainingRun:
    description = PretrainedDescription.load(path)
    curve = check_file(path.parent / "curve.parquet", description.sha256["curve.parquet"], "pretraining wrote")
    return PretrainingRun(description, read_table(curve, ["step", "split", "loss"]))


# --- what is missing --------------------------------------------------------------------------------------


def missing_by_reason(part: Part) -> list[tuple[str, list[MissingRun]]]:
    """Return the missing runs by the reason why, the most frequent first; `log` is empty where there is no file."""
    groups: dict[str, list[MissingRun]] = {}
    for run in part.missing:
        shown = run if Path(run.log).is_file() else replace(run, log="")
        groups.setdefault(run.reason, []).append(shown)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


# --- how everything was computed --------------------------------------------------------------------------


class Work(NamedTuple):
    """The cost of one kind of work: number of computations, seconds and CPU seconds."""

    name: str
    number: int
    seconds: float
    cpu_seconds: float


class Machine(NamedTuple):
    """A machine as a provenance describes it."""

    host: str
    device: str
    cpu: str
    threads: str
    platform: str


Value = TypeVar("Value", Machine, str, tuple[str, str])


@dataclass(frozen=True)
class ComputationSummary:
    """Where, when, with what and at what cost a study was computed.

    Attributes:
        work: by kind, without those that there are none of.
        total: of all work.
        machines: with the number of computations on each.
        software: versions of Python and of packages, with the number of computations that share them.
        code: module and digest, with the number of computations that share them.
        first: start of the first computation, UTC, in words.
        last: end of the last one, likewise.
        memory: the largest peak memory in MB.
        resumed: number of computations that were taken up again.
        jobs: number of SLURM jobs.
        seconds_of: by name of the run or checkpoint, all seeds together.
        seconds_in: by folder.
    """

    work: list[Work]
    total: Work
    machines: list[tuple[Machine, int]]
    software: list[tuple[str, int]]
    code: list[tuple[tuple[str, str], int]]
    first: str
    last: str
    memory: int
    resumed: int
    jobs: int
    seconds_of: dict[str, float]
    seconds_in: dict[str, float]


def summarise_computation(costs: pd.DataFrame) -> ComputationSummary:
    """Summarise where, when, with what and at what cost a study was computed.

    Args:
        costs: the table of costs; machines, software and code are read from the provenance files that it points at.
    """
    names = {
        "pretraining": "pretraining",
        "run": "runs, with all learning rates",
        "baseline": "baselines",
    }
    work = [_work(name, costs[costs["role"] == role]) for role, name in names.items()]
    provenance = [Provenance.load(Path(path) / "provenance.json") for path in costs["path"]]
    return ComputationSummary(
        work=[one for one in work if one.number],
        total=_work("all", costs),
        machines=_counted(Machine(one.host, one.device, one.cpu, str(one.threads), one.platform) for one in provenance),
        software=_counted(_software(one) for one in provenance),
        code=_counted(module for one in provenance for module in one.code.items()),
        first=_moment(costs["started"].min()),
        last=_moment(costs["ended"].max()),
        memory=int(costs["peak_memory_mb"].max()),
        resumed=int((costs["resumed"] > 0).sum()),
        jobs=costs["slurm_job_id"].nunique(),
        seconds_of=costs.groupby("run")["seconds"].sum().to_dict(),
        seconds_in=costs.set_index("path")["seconds"].to_dict(),
    )


def _work(name: str, costs: pd.DataFrame) -> Work:
    return Work(name, len(costs), costs["seconds"].sum(), costs["cpu_seconds"].sum())


def _software(provenance: Provenance) -> str:
    packages = ", ".join(f"{package} {version}" for package, version in provenance.versions.items())
    return f"Python {provenance.python}, {packages}"


def _counted(values: Iterable[Value]) -> list[tuple[Value, int]]:
    """Return each value with its number, in order of the values."""
    return sorted(Counter(values).items())


def _moment(iso: str) -> str:
    return datetime.fromisoformat(iso).strftime("%-d %B %Y, %H:%M UTC")


def link(folder: Path, path: str | Path) -> str:
    """Return the relative link from the report in `folder` to a file, both given relative to the working directory."""
    return Path(os.path.relpath(path, folder)).as_posix()
