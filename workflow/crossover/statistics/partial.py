"""The part of a study that has been computed, and what is missing: for a report while some of its runs have failed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crossover.errors import UserError
from crossover.runs.files import (
    BASELINE_RESULTS,
    baseline_folder,
    checked_provenance,
    is_complete,
    log_file,
    read_metrics,
    run_folder,
)
from crossover.specs.runs import RateSelection
from crossover.specs.studies import Cell, Member, StudyBaseline, StudySpec

ReasonOf = Callable[[str, int], tuple[str, str]]  # of a run and seed: why it is missing, and the path of its log
DAMAGED = "a file of it is not what the run wrote; delete its folder and run snakemake again"
OTHER_RATE = "it was trained with another learning rate than the one that is selected now"


@dataclass(frozen=True)
class MissingRun:
    """A run with one of its seeds that is not there: its cell, what it is for, why it is missing, and its log's path."""

    task: str
    checkpoint: str
    condition: str
    role: str
    run: str
    seed: int
    reason: str
    log: str


@dataclass(frozen=True)
class Part:
    """The part of a study that has been computed.

    Attributes:
        whole: the study, with all rates that were tried in its sweeps.
        spec: the same with the cells that have at least one final seed, the seeds of each that are there, and the runs
            that selected its rate, as far as they are there; and the baselines that are there.
        missing: the runs that are not there.
    """

    whole: StudySpec
    spec: StudySpec
    missing: list[MissingRun]

    @property
    def runs(self) -> int:
        """How many runs there are to compute, each seed counted."""
        return sum(1 for cell in self.whole.cells for _ in cell.members)

    @property
    def seeds_planned(self) -> dict[str, int]:
        """How many seeds each final run is to have."""
        return {cell.run: len(cell.seeds) for cell in self.whole.cells}

    @property
    def count(self) -> str:
        """How many runs are missing, in words."""
        return f"{len(self.missing):,} of {self.runs:,} runs {'is' if len(self.missing) == 1 else 'are'} missing"


def complete_part(spec: StudySpec) -> Part:
    """Return the part of a study that is all of it."""
    return Part(spec, spec, [])


def not_computed(run: str, seed: int) -> tuple[str, str]:
    """Return the reason why a run is missing when nothing more is known of it, and the path of its log."""
    return "it has not been computed", log_file(run, seed)


def computed_part(spec: StudySpec, reason_of: ReasonOf = not_computed) -> Part:
    """Find out which runs of a study are there, complete and as they were written.

    Args:
        spec: the study.
        reason_of: says why a run is missing, for runs whose files are missing.
    """
    whole = spec.model_copy(update={"cells": tuple(map(_as_tried, spec.cells))})
    cells, missing = [], []
    for cell in whole.cells:
        rate = _selected_rate(cell)
        there = set()
        for member in cell.members:
            absence = _absence(member, rate if member.role == "final" else None, reason_of)
            if absence is None:
                there.add(member)
            else:
                missing.append(_missing_run(cell, member, *absence))
        seeds = tuple(seed for seed in cell.seeds if Member("final", cell.run, seed) in there)
        sweep = tuple(one for one in cell.sweep if Member("sweep", one.run, one.seed) in there)
        if seeds:
            changes = {"seeds": seeds, "sweep": sweep, "rate": cell.rate if rate else None}
            cells.append(cell.model_copy(update=changes))
    baselines = {task: one for task, one in whole.baselines.items() if _is_fitted(one)}
    return Part(whole, whole.model_copy(update={"baselines": baselines}).of_cells(tuple(cells)), missing)


def _as_tried(cell: Cell) -> Cell:
    """Return a cell with the rates that were tried, or as it was planned without a selection or when its file is damaged."""
    try:
        return cell.with_tried_rates()
    except UserError:
        return cell


def _is_fitted(baseline: StudyBaseline) -> bool:
    """Return whether a baseline is there with all of its seeds, as it was written."""
    try:
        for seed in baseline.seeds:
            checked_provenance(baseline_folder(baseline.name, seed), BASELINE_RESULTS)
    except UserError:
        return False
    return True


def _missing_run(cell: Cell, member: Member, reason: str, log: str) -> MissingRun:
    return MissingRun(
        task=cell.task,
        checkpoint=cell.checkpoint,
        condition=cell.condition,
        role=member.role,
        run=member.run,
        seed=member.seed,
        reason=reason,
        log=log,
    )


def _selected_rate(cell: Cell) -> float | None:
    """Return the learning rate that is selected for a cell, or None without a selection or when its file is damaged."""
    try:
        return RateSelection.load(Path(cell.rate)).learning_rate if cell.rate else None
    except UserError:
        return None


def _absence(member: Member, rate: float | None, reason_of: ReasonOf) -> tuple[str, str] | None:
    """Return why a run is not part of the study as it is, and the path of its log; None when it is.

    Args:
        member: the run and seed.
        rate: that it must have been trained with; None for any.
        reason_of: says why files are missing.
    """
    _, run, seed = member
    folder = run_folder(run, seed)
    if not is_complete(folder):
        return reason_of(run, seed)
    log = log_file(run, seed)
    try:
        checked_provenance(folder)
    except UserError:
        return DAMAGED, log
    if rate is not None and read_metrics(folder).learning_rate != rate:
        return OTHER_RATE, log
    return None
