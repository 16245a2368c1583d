"""The facts that the report shows beside the numbers: cards of tasks, checkpoints, and how everything was computed."""

import os
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from crossover.files import check_file, read_sealed_json
from crossover.statistics.partial import Part
from crossover.statistics.records import read_table

TABLES = {
    "runs": ["study", "task", "checkpoint", "condition", "role", "run", "seed", "learning_rate", "validation_score",
             "test_score", "steps", "best_step", "stopped_early", "path"],
    "cells": ["task", "checkpoint", "condition", "run", "learning_rate", "seeds", "score", "sd_seeds", "low", "high",
              "interval_over", "interval_method", "floor", "above_floor", "items", "groups", "parameters_trained",
              "parameters_total", "threshold", "reached", "median_steps"],
    "contrasts": ["task", "checkpoint", "kind", "question", "a", "b", "held", "difference", "low", "high", "p", "p_holm",
                  "interval_method", "items", "groups", "seeds"],
    "convergence": ["task", "checkpoint", "condition", "run", "seed", "threshold", "steps", "censored", "steps_run"],
    "speed": ["checkpoint", "a", "b", "held", "tasks", "runs", "earlier", "later", "tied", "p", "p_holm"],
    "curves": ["task", "checkpoint", "condition", "role", "run", "seed", "step", "split", "loss", "score"],
    "costs": ["role", "run", "seed", "seconds", "cpu_seconds", "peak_memory_mb", "host", "device", "threads", "started",
              "ended", "resumed", "slurm_job_id", "path"],
}  # fmt: skip


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The study's tables as aggregation wrote them.

    Raises:
        UserError: one is missing or damaged.
    """
    return {name: read_table(folder / f"{name}.parquet", columns) for name, columns in TABLES.items()}


def read_cards(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """For each task its card, and what of its encodings the card does not know, by the path of their description."""
    return {
        name: read_sealed_json(task["card"])
        | {"encodings": {path: _read_encoding(path, task) for path in sorted(set(task["encodings"].values()))}}
        for name, task in spec["tasks"].items()
    }


def _read_encoding(path: str, task: dict[str, Any]) -> dict[str, Any]:
    encoding = read_sealed_json(Path(path))
    facts = {key: encoding[key] for key in ("kind", "longest", "truncated", "truncated_items", "unknown", "counts")}
    return facts | {"checkpoints": [name for name, own in task["encodings"].items() if own == path]}


def read_checkpoints(spec: dict[str, Any]) -> dict[str, dict[str, Any] | None]:
    """What pretraining reported of each checkpoint, with its curve; None for weights that came from elsewhere."""
    return {
        name: _read_pretraining(Path(one["pretraining"])) if one["pretraining"] else None
        for name, one in spec["checkpoints"].items()
    }


def _read_pretraining(path: Path) -> dict[str, Any]:
    record = read_sealed_json(path)
    curve = check_file(path.parent / "curve.parquet", record["sha256"]["curve.parquet"], "pretraining wrote")
    return record | {"curve": read_table(curve, ["step", "split", "loss"])}


def missing_by_reason(part: Part) -> list[tuple[str, list[dict[str, Any]]]]:
    """What is missing of a study by the reason why, the most frequent first; `log` is empty where there is none."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in part.missing:
        log = entry["log"] if Path(entry["log"]).is_file() else ""
        groups.setdefault(entry["reason"], []).append({**entry, "log": log})
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def describe_computation(costs: pd.DataFrame) -> dict[str, Any]:
    """Where, when, with what and at what cost the study was computed.

    Args:
        costs: the table of costs; machines, software and code are read from the provenance files that it points at.

    Returns:
        `costs`: (what, number, seconds, CPU seconds) by kind of work, and the sum; `machines`, `software`, `code`: rows
        of values with the number of computations that share them; `first`, `last`: start and end, UTC; `memory`: the
        largest in MB; `resumed`: computations that were taken up again; `jobs`: SLURM jobs; `seconds_of`: by name of
        the run or checkpoint, all seeds together; `seconds_in`: by folder.
    """
    names = {"pretraining": "pretraining", "sweep": "selecting learning rates", "final": "final runs"}
    work = [(name, *_sums(costs[costs["role"] == role])) for role, name in names.items()]
    records = [read_sealed_json(Path(path) / "provenance.json") for path in costs["path"]]
    return {
        "costs": [one for one in work if one[1]],
        "total": _sums(costs),
        "machines": _counted(
            tuple(str(one[key]) for key in ("host", "device", "cpu", "threads", "platform")) for one in records
        ),
        "software": _counted(
            f"Python {one['python']}, " + ", ".join(f"{k} {v}" for k, v in one["versions"].items()) for one in records
        ),
        "code": _counted((module, digest) for one in records for module, digest in one["code"].items()),
        "first": _moment(costs["started"].min()),
        "last": _moment(costs["ended"].max()),
        "memory": int(costs["peak_memory_mb"].max()),
        "resumed": int((costs["resumed"] > 0).sum()),
        "jobs": costs["slurm_job_id"].nunique(),
        "seconds_of": costs.groupby("run")["seconds"].sum().to_dict(),
        "seconds_in": costs.set_index("path")["seconds"].to_dict(),
    }


def _sums(costs: pd.DataFrame) -> tuple[int, float, float]:
    return len(costs), costs["seconds"].sum(), costs["cpu_seconds"].sum()


def _counted(values: Any) -> list[tuple[Any, int]]:
    """Each value with its number, in order of the values."""
    return sorted(Counter(values).items())


def _moment(iso: str) -> str:
    return datetime.fromisoformat(iso).strftime("%-d %B %Y, %H:%M UTC")


def link(folder: Path, path: str | Path) -> str:
    """A relative link from the report in `folder` to a file, both given relative to the working directory."""
    return Path(os.path.relpath(path, folder)).as_posix()
