"""Studies: everything that aggregation and the report read."""

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import Field

from crossover.config.conditions import Condition
from crossover.config.studies import AskedComparison
from crossover.errors import UserError
from crossover.files import read_json
from crossover.specs.base import Record
from crossover.specs.runs import CellKey


class Cell(CellKey):
    """Task x checkpoint x condition: the unit that is reported.

    Attributes:
        run: the name of its run.
        seeds: of it.
        widens: whether further rates are tried while the best one is the lowest or highest.
        weights: the folders of what each seed has trained, in the order of their seeds; none where it is not kept.
        own_training: number of the row whose recipe or training is its own; None where it is that of the study.
    """

    run: str
    seeds: tuple[int, ...]
    widens: bool = False
    weights: tuple[str, ...] = ()
    own_training: int | None = None

    @property
    def runs(self) -> list[tuple[str, int]]:
        """The name of its run with each seed."""
        return [(self.run, seed) for seed in self.seeds]

    @property
    def weights_of(self) -> dict[tuple[str, int], str]:
        """The folder of what each seed has trained, by name of the run and seed; empty where it is not kept."""
        return {(self.run, seed): folder for seed, folder in zip(self.seeds, self.weights, strict=False)}


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


class StudyBaseline(Record):
    """The baseline of a task: the name of its spec, and its seeds; one alone where it learns from the whole training split."""

    name: str
    seeds: tuple[int, ...]


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

    Conditions that do not fit a task or a checkpoint are left out; baselines are by task. Its name has no hash: results/studies/<study>/ is where
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
    baselines: dict[str, StudyBaseline] = Field({})
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
        """Name and seed of everything that is trained; cells that compute the same share their run."""
        return sorted({run for cell in self.cells for run in cell.runs})

    def of_cells(self, cells: tuple[Cell, ...]) -> "StudySpec":
        """Return the study with these cells alone, and the tasks, checkpoints and conditions that occur in them."""
        return self.model_copy(
            update={
                "cells": cells,
                "baselines": {
                    name: one for name, one in self.baselines.items() if name in {cell.task for cell in cells}
                },
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
