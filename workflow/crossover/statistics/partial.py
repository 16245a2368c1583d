"""What of a study is there already, and what is missing: for a report while some of its runs have failed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossover.errors import UserError
from crossover.files import read_json, read_sealed_json
from crossover.runs.files import RESULTS, checked_provenance, run_folder
from crossover.statistics.order import in_study_order, members

Spec = dict[str, Any]
Reason = Callable[[str, int], tuple[str, str]]  # of a run and seed: a sentence, and the path of its log
DAMAGED = "a file of it is not what the run wrote; delete its folder and run snakemake again"
OTHER_RATE = "it was trained with another learning rate than the one that is selected now"


@dataclass(frozen=True)
class Part:
    """The part of a study that has been computed.

    Attributes:
        whole: the study's spec, in its order.
        spec: the same with the cells that have at least one final seed, the seeds of each that are there, and the runs
            that selected its rate, as far as they are there.
        missing: for each run and seed that is not there its task, checkpoint, condition, role (sweep or final), run,
            seed, reason, and log.
        runs: how many runs there are to compute, each seed counted.
    """

    whole: Spec
    spec: Spec
    missing: list[dict[str, Any]]
    runs: int

    @property
    def seeds_planned(self) -> dict[str, int]:
        """How many seeds each final run is to have."""
        return {cell["run"]: len(cell["seeds"]) for cell in self.whole["cells"]}

    @property
    def count(self) -> str:
        """How many runs are missing, in words."""
        return f"{len(self.missing):,} of {self.runs:,} runs {'is' if len(self.missing) == 1 else 'are'} missing"


def whole_of(spec: Spec) -> Part:
    """The part of a study that is all of it."""
    spec = in_study_order(spec)
    return Part(spec, spec, [], sum(len(list(members(cell))) for cell in spec["cells"]))


def not_computed(run: str, seed: int) -> tuple[str, str]:
    """The reason why a run is missing, where nothing more is known of it, and where its log would be."""
    return "it has not been computed", f"logs/finetune_run/{run}/seed-{seed}.log"


def part_of(spec: Spec, reason_of: Reason = not_computed) -> Part:
    """Find out which runs of a study are there, whole and as they were written.

    Args:
        spec: the study's spec.
        reason_of: says why a run is missing of which files are missing.
    """
    spec = in_study_order(spec)
    cells, missing, runs = [], [], 0
    for cell in spec["cells"]:
        rate = _rate_of(cell)
        there = set()
        for role, run, seed in members(cell):
            runs += 1
            trouble = _trouble(run, seed, rate if role == "final" else None, reason_of)
            if trouble is None:
                there.add((run, seed))
                continue
            labels = {name: cell[name] for name in ("task", "checkpoint", "condition")}
            missing.append({**labels, "role": role, "run": run, "seed": seed, "reason": trouble[0], "log": trouble[1]})
        seeds = [seed for seed in cell["seeds"] if (cell["run"], seed) in there]
        if seeds:
            sweep = [entry for entry in cell["sweep"] if (entry["run"], entry["seed"]) in there]
            cells.append({**cell, "seeds": seeds, "sweep": sweep, "rate": cell["rate"] if rate else None})
    return Part(spec, _reduced(spec, cells), missing, runs)


def _reduced(spec: Spec, cells: list[Spec]) -> Spec:
    """The spec with these cells, and the tasks, checkpoints and conditions that occur in them, in their order."""
    named = {}
    for kind in ("task", "checkpoint", "condition"):
        used = {cell[kind] for cell in cells}
        named[f"{kind}s"] = {name: entry for name, entry in spec[f"{kind}s"].items() if name in used}
    return {**spec, **named, "cells": cells}


def _rate_of(cell: Spec) -> float | None:
    """The learning rate that is selected for a cell, or None where there is no selection or its file is not whole."""
    try:
        return read_sealed_json(Path(cell["rate"]))["learning_rate"] if cell["rate"] else None
    except UserError:
        return None


def _trouble(run: str, seed: int, rate: float | None, reason_of: Reason) -> tuple[str, str] | None:
    """Why a run is not part of the study as it is, and the path of its log; None when it is."""
    folder = run_folder(run, seed)
    if not all((folder / name).is_file() for name in (*RESULTS, "provenance.json")):
        return reason_of(run, seed)
    _, log = not_computed(run, seed)
    try:
        checked_provenance(folder)
    except UserError:
        return DAMAGED, log
    if rate is not None and read_json(folder / "metrics.json")["learning_rate"] != rate:
        return OTHER_RATE, log
    return None
