"""A study and all that it needs."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crossover.config.load import RequestedStudy, known_names
from crossover.config.sizes import TaskAtSize
from crossover.config.studies import Study
from crossover.planning.analyses import PlannedAnalysis
from crossover.planning.base_checkpoints import PlannedCheckpoint
from crossover.planning.baselines import PlannedBaseline
from crossover.planning.parts import Parts
from crossover.planning.runs import PlannedCell
from crossover.planning.tasks import PlannedTask
from crossover.specs.load import AnySpec
from crossover.specs.studies import StudyCheckpoint, StudySpec, StudyTask

CONFIDENCE = 0.95  # of intervals
THRESHOLD = 0.9  # convergence is measured at this share of the way from the floor to the best score


class Planned(Protocol):
    """A part of a study that knows the specs that make it."""

    @property
    def specs(self) -> list[AnySpec]:
        """The specs of the part, with those that they refer to."""


@dataclass(frozen=True)
class PlannedStudy:
    """A study and its parts.

    Attributes:
        name: of its file.
        requested: its name or path as the user gave it.
        settings: as configured.
        parts: its tasks, checkpoints and conditions.
        cells: task by task, then row by row.
        baselines: one for each task at each data size.
        analyses: of the study.
    """

    name: str
    requested: str
    settings: Study
    parts: Parts
    cells: list[PlannedCell]
    baselines: list[PlannedBaseline]
    analyses: list[PlannedAnalysis]

    @property
    def specs(self) -> dict[str, AnySpec]:
        """The specs of all parts by name."""
        of = self.parts
        every: list[Planned] = [*of.checkpoints.values(), *of.tasks.values(), *of.tokens.values()]
        every += [*self.cells, *self.baselines, *self.analyses]
        return {spec.name: spec for part in every for spec in part.specs}

    @property
    def spec(self) -> StudySpec:
        """What aggregation and the report read."""
        return StudySpec(
            name=f"study-{self.name}",
            study=self.name,
            title=self.settings.title,
            question=self.settings.question,
            description=self.settings.description,
            confidence=CONFIDENCE,
            margin=self.settings.margin,
            threshold=THRESHOLD,
            tasks={at.name: self._task(self.parts.tasks[at.task], at) for at in self.settings.tasks_at_sizes},
            checkpoints={name: _checkpoint(checkpoint) for name, checkpoint in self.parts.checkpoints.items()},
            conditions=self.parts.conditions,
            cells=tuple(part.cell for part in self.cells),
            baselines={part.task: part.entry for part in self.baselines},
            compare=tuple(self.settings.compare),
            left_out=tuple(self.parts.left_out.values()),
            analyses=tuple({part.entry.name: part.entry for part in self.analyses}.values()),
            reproduce=shlex.join(["snakemake", "--config", *self._config]),
        )

    @property
    def _config(self) -> list[str]:
        """What Snakemake is told; the same study requested by its path must not look like another one."""
        requested = RequestedStudy.parse(self.requested)
        stem = Path(requested.file).stem
        file = stem if requested.is_path and stem in known_names("studies") else requested.file
        return [f"study={file}", *([f"budget={requested.budget}"] if requested.budget else [])]

    def _task(self, task: PlannedTask, at: TaskAtSize) -> StudyTask:
        return StudyTask(
            **task.config.model_dump(include={"title", "description", "domain", "simulated", "licence", "citation"}),
            of=task.name,
            train_items=None if at.items == "all" else at.items,
            metric=task.config.target.metric,
            subset=task.subset,
            card=task.spec.card,
            encodings={
                checkpoint: tokens.spec.description
                for (name, checkpoint), tokens in self.parts.tokens.items()
                if name == task.name and checkpoint in self.parts.checkpoints
            },
        )


def _checkpoint(checkpoint: PlannedCheckpoint) -> StudyCheckpoint:
    return StudyCheckpoint(
        **checkpoint.config.model_dump(include={"title", "description"}),
        licence=getattr(checkpoint.config, "licence", None),
        folder=checkpoint.files.folder,
        has_weights=checkpoint.has_weights,
        origin=checkpoint.origin,
        fetched=checkpoint.fetched,
        pretraining=checkpoint.pretraining,
        subset=checkpoint.subset,
    )
