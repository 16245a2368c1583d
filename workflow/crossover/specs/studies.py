"""Studies: everything that aggregation and the report read."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from crossover.config.conditions import Condition
from crossover.config.studies import AskedComparison
from crossover.errors import UserError
from crossover.files import read_json
from crossover.specs.base import Record
from crossover.specs.runs import CellKey, RateSelection, SeededRun


class Candidate(SeededRun):
    """A run that tries a learning rate."""

    learning_rate: float


class Member(NamedTuple):
    """A run with one of its seeds, and what it is for."""

    role: Literal["sweep", "final"]
    run: str
    seed: int


class Cell(CellKey):
    """Task x checkpoint x condition: the unit that is reported.

    Attributes:
        run: the final run.
        seeds: its seeds.
        rate: the file that holds its selected rate; None where only one rate is tried.
        sweep: the runs that try the rates.
        further: the runs of the decades by which the range of rates may grow, of which those are trained that are needed.
        weights: the folders of what the final runs have trained, in the order of their seeds; none where it is not kept.
        own_training: number of the row whose recipe or training is its own; None where it is that of the study.
    """

    run: str
    seeds: tuple[int, ...]
    rate: str | None
    sweep: tuple[Candidate, ...]
    further: tuple[Candidate, ...] = ()
    weights: tuple[str, ...] = ()
    own_training: int | None = None

    @property
    def members(self) -> Iterator[Member]:
        """Everything that is computed for the cell: the runs that try rates, then the final ones."""
        for candidate in self.sweep:
            yield Member("sweep", candidate.run, candidate.seed)
        for seed in self.seeds:
            yield Member("final", self.run, seed)

    @property
    def weights_of(self) -> dict[tuple[str, int], str]:
        """The folder of what each final run has trained, by name and seed of the run; empty where it is not kept."""
        return {(self.run, seed): folder for seed, folder in zip(self.seeds, self.weights, strict=False)}

    def with_tried_rates(self) -> "Cell":
        """Return the cell with all runs that tried its rates as its sweep, in order of the rates, once its rate is selected.

        Raises:
            UserError: the file of the selected rate is missing, or is not as it was written.
        """
        if not self.further or not self.rate:
            return self
        tried = RateSelection.load(Path(self.rate)).candidates
        sweep = tuple(Candidate(run=one.run, seed=one.seed, learning_rate=one.learning_rate) for one in tried)
        return self.model_copy(update={"sweep": sweep})


class LeftOut(CellKey):
    """A task x checkpoint x condition that means nothing, and why, in words."""

    reason: str


class StudyTask(Record):
    """A task as the report speaks of it, with all of its training items or with some of them.

    Attributes:
        encodings: the descriptions of its tokens by checkpoint.
        of: name of the file in config/tasks/.
        train_items: how many training items each seed draws; None for all.
    """

    title: str
    description: str
    domain: str
    simulated: bool
    licence: str
    citation: str
    metric: str
    subset: str | None
    card: str
    encodings: dict[str, str]
    of: str
    train_items: int | None

    @property
    def name_in_report(self) -> str:
        """The title, with the number of training items where that is not all."""
        return f"{self.title}, {self.train_items:,} training items" if self.train_items else self.title


class StudyCheckpoint(Record):
    """A checkpoint as the report speaks of it.

    Attributes:
        title: shown in the report.
        description: shown in the report.
        licence: of its weights or corpus; None where it has none.
        folder: where it lies.
        has_weights: whether it has weights, and not a size alone.
        origin: where it is from, as an address on the web or in words.
        fetched: the path of what fetching reports, where it was made elsewhere and is not read in place.
        pretraining: the path of what pretraining reports, where it is pretrained here.
        subset: what part of its corpus a mirror holds, in words.
    """

    title: str
    description: str
    licence: str | None
    folder: str
    has_weights: bool
    origin: str | None
    fetched: str | None
    pretraining: str | None
    subset: str | None


class ModelLabels(Record):
    """A model in words; `condition` is the one that it was fine-tuned in, None before fine-tuning."""

    checkpoint: str
    checkpoint_title: str
    body: str
    input: str
    condition: str | None

    @property
    def label(self) -> str:
        """How tables name the model."""
        tuned = f", fine-tuned as {self.condition}" if self.condition else ""
        return f"{self.checkpoint}, {self.body} body, {self.input} input{tuned}"


class StudyAnalysis(Record):
    """An analysis of a study: its spec's name, its seeds, its task, and the models that it is about."""

    name: str
    kind: str
    seeds: tuple[int, ...]
    task: str
    title: str
    simulated: bool
    metric: str
    subset: str | None
    models: tuple[ModelLabels, ...]

    @property
    def name_in_report(self) -> str:
        """The title of its task."""
        return self.title


class StudySpec(Record):
    """A study; tasks, checkpoints and conditions are in the order of its config.

    Conditions that do not fit a task or a checkpoint are left out. Its name has no hash: results/studies/<study>/ is where
    people look for the latest report. Hence it is sealed.
    """

    kind: Literal["study"] = "study"
    name: str
    study: str
    title: str
    question: str
    description: str
    confidence: float
    margin: float
    threshold: float
    tasks: dict[str, StudyTask]
    checkpoints: dict[str, StudyCheckpoint]
    conditions: dict[str, Condition]
    cells: tuple[Cell, ...]
    left_out: tuple[LeftOut, ...]
    compare: tuple[AskedComparison, ...]
    analyses: tuple[StudyAnalysis, ...]
    reproduce: str

    @property
    def text(self) -> str:
        """The content of the spec's file, with its seal."""
        content = self.content()
        return json.dumps(content | {"seal": _seal(content)}, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, path: Path) -> "StudySpec":
        """Read a study.

        Raises:
            UserError: the file is missing, or is not as it was written.
        """
        content = read_json(path)
        seal = content.pop("seal", None) if isinstance(content, dict) else None
        if seal != _seal(content):
            raise UserError(f"{path} is not as it was written: delete it and run snakemake again.")
        return cls.parse(content, path)

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Name and seed of everything that is trained: the runs that select a rate, then the final ones."""
        members = sorted({member for cell in self.cells for member in cell.members})
        ordered = sorted(members, key=lambda member: member.role == "final")
        return [(member.run, member.seed) for member in ordered]

    def of_cells(self, cells: tuple[Cell, ...]) -> "StudySpec":
        """Return the study with these cells alone, and the tasks, checkpoints and conditions that occur in them."""
        return self.model_copy(
            update={
                "cells": cells,
                "tasks": {name: one for name, one in self.tasks.items() if name in {cell.task for cell in cells}},
                "checkpoints": {
                    name: one for name, one in self.checkpoints.items() if name in {cell.checkpoint for cell in cells}
                },
                "conditions": {
                    name: one for name, one in self.conditions.items() if name in {cell.condition for cell in cells}
                },
            }
        )


def _seal(content: object) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()
