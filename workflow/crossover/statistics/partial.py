"""The part of a study that has been computed, and what is missing: for a report while some of its runs have failed."""

from collections.abc import Callable
from dataclasses import dataclass

from crossover.errors import UserError
from crossover.runs.files import (
    BASELINE_RESULTS,
    baseline_folder,
    checked_provenance,
    is_complete,
    log_file,
    run_folder,
)
from crossover.specs.studies import Cell, StudyBaseline, StudySpec

ReasonOf = Callable[[str, int], tuple[str, str]]  # of a run and seed: why it is missing, and the path of its log
DAMAGED = "a file of it is not what the run wrote; delete its folder and run snakemake again"


@dataclass(frozen=True)
class MissingRun:
    """A run with one of its seeds that is not there: its cell, why it is missing, and its log's path."""

    task: str
    checkpoint: str
    condition: str
    run: str
    seed: int
    reason: str
    log: str


@dataclass(frozen=True)
class Part:
    """The part of a study that has been computed.

    Attributes:
        whole: the study.
        spec: the same with the cells that have at least one seed, and the seeds of each that are there; and the
            baselines that are there.
        missing: the runs that are not there.
    """

    whole: StudySpec
    spec: StudySpec
    missing: list[MissingRun]

    @property
    def runs(self) -> int:
        """How many runs there are to compute, each seed counted."""
        return sum(len(cell.seeds) for cell in self.whole.cells)

    @property
    def seeds_planned(self) -> dict[str, int]:
        """How many seeds each run is to have."""
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
    cells, missing = [], []
    for cell in spec.cells:
        absences = {seed: _absence(cell.run, seed, reason_of) for seed in cell.seeds}
        missing += [_missing_run(cell, seed, *absence) for seed, absence in absences.items() if absence]
        if seeds := tuple(seed for seed, absence in absences.items() if absence is None):
            cells.append(cell.model_copy(update={"seeds": seeds}))
    baselines = {task: one for task, one in spec.baselines.items() if _is_fitted(one)}
    return Part(spec, spec.model_copy(update={"baselines": baselines}).of_cells(tuple(cells)), missing)


def _is_fitted(baseline: StudyBaseline) -> bool:
    """Return whether a baseline is there with all of its seeds, as it was written."""
    try:
        for seed in baseline.seeds:
            checked_provenance(baseline_folder(baseline.name, seed), BASELINE_RESULTS)
    except UserError:
        return False
    return True


def _missing_run(cell: Cell, seed: int, reason: str, log: str) -> MissingRun:
    return MissingRun(
        task=cell.task,
        checkpoint=cell.checkpoint,
        condition=cell.condition,
        run=cell.run,
        seed=seed,
        reason=reason,
        log=log,
    )


def _absence(run: str, seed: int, reason_of: ReasonOf) -> tuple[str, str] | None:
    """Return why a run is not part of the study as it is, and the path of its log; None when it is.

    Args:
        run: its name.
        seed: of it.
        reason_of: says why files are missing.
    """
    folder = run_folder(run, seed)
    if not is_complete(folder):
        return reason_of(run, seed)
    try:
        checked_provenance(folder)
    except UserError:
        return DAMAGED, log_file(run, seed)
    return None
