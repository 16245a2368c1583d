"""Studies: config/studies/NAME.yaml and config/config.yaml."""

import re
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, ValidationInfo, create_model, field_validator, model_validator

from crossover.config.base import NAME, ConfigModel, Name, TitledModel
from crossover.config.parameters import ChosenCondition, ParametrisedCondition, chosen_conditions
from crossover.config.recipes import Override, RecipeOverride, entries_are_unique, optional_fields
from crossover.config.sizes import Drawn, TaskAtSize, TrainItems
from crossover.config.training import KeptWeights


class Hardware(ConfigModel):
    """Resources of a run. They are not part of its hash, so changing them recomputes nothing."""

    gpu: Annotated[int, Field(ge=0, le=1)] = 1
    """Number of GPUs per run; with 0 it runs on the CPU even if there is a GPU."""
    threads: PositiveInt = 1
    """CPU threads per run."""
    memory_mb: PositiveInt | None = None
    """Memory to request from the cluster's scheduler, in MB, times the number of the attempt; by default estimated."""
    minutes: PositiveInt | None = None
    """Time limit to request from the cluster's scheduler, in minutes, times the number of the attempt; by default
    estimated."""


AnalysisKind = Literal["similarity", "heads", "probing", "attention", "optimisation"]


class Analysis(ConfigModel):
    """An analysis with tasks or checkpoints other than the study's."""

    kind: AnalysisKind
    """`similarity`: compare layers of two models by CKA and CCA. `heads`: match attention heads of two models. `probing`:
    linear probes of each layer. `attention`: attention maps. `optimisation`: how easily the model can be trained."""
    tasks: list[Name] = Field(default=[])
    """Tasks whose items are used: names of files in config/tasks/. By default the study's."""
    checkpoints: list[Name] = Field(default=[])
    """Names of files in config/checkpoints/; by default the study's."""
    of: list[Literal["before", "after"]] = Field(default=["before"], min_length=1)
    """Models that are analysed: each checkpoint with each body and input `before` it is fine-tuned, and what each run has
    trained, `after` that. Two models are compared at the same stage, or a model with what it became."""

    @field_validator("tasks", "checkpoints", "of")
    @classmethod
    def entries_are_unique(cls, values: list[object]) -> list[object]:
        """Raise if a name is listed twice."""
        return entries_are_unique(values)


class Row(ConfigModel):
    """Cells beside the cross product of a study: checkpoint x condition, with tasks, seeds and a recipe of their own."""

    name: Name | None = None
    """Name that is added to those of the row's conditions, so that the study can have the same cells trained in another way: in a row
    `slow`, `pretrained-all` is the condition `pretrained-all-slow`."""
    checkpoints: list[Name] = Field(min_length=1)
    """Names of files in config/checkpoints/."""
    conditions: list[Name | ParametrisedCondition] = Field(min_length=1)
    """Names of entries in config/conditions.yaml, with values for their parameters."""
    tasks: list[Name] = Field(default=[])
    """Names of files in config/tasks/; by default the study's."""
    train_items: list[TrainItems] = Field(default=[])
    """Sizes of the training split; by default the study's."""
    seeds: list[Annotated[int, Field(ge=0)]] = Field(default=[])
    """Random seeds of the runs; by default the study's."""
    recipe: Name | None = None
    """Name of a file in config/recipes/, which the study's own changes leave alone; by default the study's recipe with its changes."""
    training: RecipeOverride = Field(default=RecipeOverride())  # type: ignore[valid-type]
    """Settings of the recipe that are changed for the row, over all others."""

    @field_validator("tasks", "checkpoints", "conditions", "train_items", "seeds")
    @classmethod
    def entries_are_unique(cls, values: list[object]) -> list[object]:
        """Raise if a name or number is listed twice."""
        return entries_are_unique(values)

    @property
    def has_own_training(self) -> bool:
        """Whether it is trained in another way than the study."""
        return self.recipe is not None or bool(self.training.model_dump())  # type: ignore[attr-defined]

    @property
    def chosen_conditions(self) -> list[ChosenCondition]:
        """The conditions, with a name for each combination of parameters."""
        return list(chosen_conditions(self.conditions, self.name))


class Arm(ConfigModel):
    """One side of a comparison."""

    checkpoint: Name
    """A checkpoint of the study."""
    condition: Name
    """One of its conditions there; of a parametrised one with its values, such as `reinit-last-3`."""


class AskedComparison(ConfigModel):
    """A comparison of the user's own, on every task that both sides have."""

    question: str
    """What it asks, in a few words such as `text or antibodies`. Comparisons with the same words are corrected together."""
    a: Arm
    """The side whose score is taken first."""
    b: Arm
    """The side whose score is subtracted."""


class StudySettings(ConfigModel):
    """What a study computes."""

    tasks: list[Name] = Field([])
    """Names of files in config/tasks/; required unless every row has tasks of its own."""
    checkpoints: list[Name] = Field([])
    """Names of files in config/checkpoints/."""
    conditions: list[Name | ParametrisedCondition] = Field([])
    """Names of entries in config/conditions.yaml; with values for those that have parameters, such as
    `{reinit-last: {count: 0..12}}`: one value, a list, or a range. Every combination is a condition."""
    rows: list[Row] = Field([])
    """Further cells, each checkpoint with conditions, and if need be with tasks, seeds and a recipe of its own."""
    compare: list[AskedComparison] = Field([])
    """Comparisons beside those that crossover makes by itself: across checkpoints, or of conditions that differ in several choices."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """The smallest difference of two scores that matters; 0.05 is 5 percentage points. Two conditions are called equivalent where
    their difference is shown to be smaller."""
    train_items: list[TrainItems] = Field(["all"], min_length=1)
    """Sizes of the training split, such as `[500, 5000, all]`: every cell is computed for each. Each seed draws its own items, and
    the smaller sizes are part of the larger ones; validation and test split stay whole."""
    train_items_drawn: Drawn = "plain"
    """How they are drawn: `plain`, each item as likely as any other, or `stratified`, with labels in the proportions of the whole."""
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    """Random seeds of the runs."""
    recipe: Name = "fair"
    """Name of a file in config/recipes/: how runs are trained."""
    training: RecipeOverride = Field(RecipeOverride())  # type: ignore[valid-type]
    """Settings of the recipe that are changed for all runs."""
    training_by_task: dict[Name, RecipeOverride] = Field({})  # type: ignore[valid-type]
    """Settings that are changed for some tasks, over `training`."""
    training_by_checkpoint: dict[Name, RecipeOverride] = Field({})  # type: ignore[valid-type]
    """Settings that are changed for some checkpoints, over those by task."""
    training_by_condition: dict[Name, RecipeOverride] = Field({})  # type: ignore[valid-type]
    """Settings that are changed for some conditions, over those by checkpoint; of a parametrised one, for `reinit-last-3` alone."""
    keep_weights: KeptWeights | Literal["none"] = "none"
    """Weights of the runs that are kept, each as a folder in Hugging Face form: those of the `best` validation score, or the
    `last` ones."""
    hardware: Hardware = Hardware()
    """Resources of each run."""
    analyses: list[AnalysisKind | Analysis] = Field([])
    """Analyses of the models before fine-tuning, each checkpoint with each body and input of `conditions`; or after it, with `of`."""


Budget = create_model(
    "Budget",
    __base__=Override,
    __doc__="What a study changes within a budget; keys that are not given stay.",
    **optional_fields(StudySettings),
)


class Study(TitledModel, StudySettings):
    """config/studies/NAME.yaml: every task x checkpoint x condition is a cell, and so is what the rows add."""

    question: str
    """Question that the report answers."""
    budgets: dict[Name, Budget] = Field({})  # type: ignore[valid-type]
    """Sizes in which the study can be computed, by name, such as `small: {seeds: [0, 1], training: {length: 300 steps}}`: what each
    changes, key by key; a list takes the place of the whole list. Chosen with `--config study=NAME budget=small`."""

    @field_validator("tasks", "checkpoints", "conditions", "train_items", "seeds", "compare", "analyses")
    @classmethod
    def entries_are_unique(cls, values: list[object]) -> list[object]:
        """Raise if a name or number is listed twice."""
        return entries_are_unique(values)

    @model_validator(mode="after")
    def changes_name_parts_of_the_study(self, info: ValidationInfo) -> "Study":
        """Raise if settings are changed for a task, checkpoint or condition that the study does not have, nor has it without budget."""
        whole: Study | None = (info.context or {}).get("whole")
        conditions = [one.name for one in self.chosen_conditions]
        for kind, names in (("task", self.all_tasks), ("checkpoint", self.all_checkpoints), ("condition", conditions)):
            known = {*names, *(getattr(whole, f"training_by_{kind}") if whole else ())}
            others = sorted(set(getattr(self, f"training_by_{kind}")) - known)
            if others:
                raise ValueError(f"training_by_{kind} names {others[0]}, which is not one of {kind}s")
        return self

    @model_validator(mode="after")
    def checkpoints_and_conditions_are_crossed_or_in_rows(self) -> "Study":
        """Raise unless there are checkpoints with conditions, or if a condition is listed twice, within a range for example."""
        if bool(self.checkpoints) != bool(self.conditions) or not self.all_rows:
            raise ValueError("give checkpoints and conditions, which are crossed with the tasks, or rows, or both")
        if not all(row.tasks for row in self.all_rows):
            raise ValueError("give tasks, which rows without tasks of their own have too")
        for row in self.all_rows:
            entries_are_unique([one.name for one in row.chosen_conditions])
        return self

    @model_validator(mode="after")
    def names_of_conditions_are_clear(self) -> "Study":
        """Raise if an entry of config/conditions.yaml has the name of another one with its values, or a name cannot be one of files."""
        meant: dict[str, ChosenCondition] = {}
        for one in (one for row in self.all_rows for one in row.chosen_conditions):
            if not re.fullmatch(NAME, one.name):
                raise ValueError(
                    f"condition {one.name} names files, but has more than 60 letters; shorten the entry or the row's name"
                )
            if meant.setdefault(one.name, one) != one:
                raise ValueError(
                    f"condition {one.name} is both an entry and one of {meant[one.name].entry} or {one.entry}; rename the entry"
                )
        return self

    @model_validator(mode="after")
    def compared_sides_are_there(self) -> "Study":
        """Raise if a comparison names a checkpoint and condition that the study does not have together, or compares one with itself."""
        for asked in self.compare:
            for side, arm in (("a", asked.a), ("b", asked.b)):
                if arm.condition not in self.rows_of(arm.checkpoint) or arm.checkpoint not in self.all_checkpoints:
                    raise ValueError(
                        f"compare: {side} of ‘{asked.question}’ is {arm.condition} with {arm.checkpoint}, which the study does not have"
                    )
            if asked.a == asked.b:
                raise ValueError(f"compare: both sides of ‘{asked.question}’ are the same")
        return self

    @model_validator(mode="after")
    def tasks_at_sizes_differ(self) -> "Study":
        """Raise if a task has the name of another one at one of the sizes."""
        entries_are_unique([one.name for one in self.tasks_at_sizes])
        return self

    @property
    def tasks_at_sizes(self) -> list[TaskAtSize]:
        """The tasks with each size of the training split."""
        cells = ((task, items) for row in self.all_rows for task in row.tasks for items in row.train_items)
        order = self.all_tasks
        return [TaskAtSize(*cell) for cell in sorted(dict.fromkeys(cells), key=lambda cell: order.index(cell[0]))]

    @property
    def all_rows(self) -> list[Row]:
        """The cross product as a row, and the rows; each with its tasks and seeds."""
        crossed = [Row(checkpoints=self.checkpoints, conditions=self.conditions)] if self.checkpoints else []
        return [
            row.model_copy(
                update={key: getattr(row, key) or getattr(self, key) for key in ("tasks", "train_items", "seeds")}
            )
            for row in (*crossed, *self.rows)
        ]

    @property
    def all_analyses(self) -> list[Analysis]:
        """The analyses, each with its tasks and checkpoints."""
        listed = [entry if isinstance(entry, Analysis) else Analysis(kind=entry) for entry in self.analyses]
        own = {"tasks": self.all_tasks, "checkpoints": self.all_checkpoints}
        return [one.model_copy(update={key: getattr(one, key) or own[key] for key in own}) for one in listed]

    @property
    def analysed_after_training(self) -> set[tuple[Name, Name]]:
        """The tasks and checkpoints whose runs are analysed, so that their weights are needed."""
        return {pair for one in self.all_analyses if "after" in one.of for pair in product(one.tasks, one.checkpoints)}

    def rows_of(self, checkpoint: str) -> dict[str, int]:
        """Return the conditions of a checkpoint, each with the number of its first row; of one that only analyses use, all."""
        rows = [(number, row) for number, row in enumerate(self.all_rows) if checkpoint in row.checkpoints]
        found: dict[str, int] = {}
        for number, row in rows or enumerate(self.all_rows):
            for one in row.chosen_conditions:
                found.setdefault(one.name, number)
        return found

    @property
    def all_tasks(self) -> list[Name]:
        """The tasks of the study and of its rows."""
        return list(dict.fromkeys([*self.tasks, *(task for row in self.rows for task in row.tasks)]))

    @property
    def all_checkpoints(self) -> list[Name]:
        """The checkpoints of the study and of its rows."""
        return list(dict.fromkeys([*self.checkpoints, *(name for row in self.rows for name in row.checkpoints)]))

    @property
    def chosen_conditions(self) -> list[ChosenCondition]:
        """The conditions of the study and of its rows, with a name for each combination of parameters."""
        return list({one.name: one for row in self.all_rows for one in row.chosen_conditions}.values())

    def changes_of(self, row: Row, task: str = "", checkpoint: str = "", condition: str = "") -> dict[str, Any]:
        """Return the settings of the recipe that are changed for a row, and for these parts of the study, by name."""
        of_study: list[Override | None] = [
            self.training,
            self.training_by_task.get(task),
            self.training_by_checkpoint.get(checkpoint),
            self.training_by_condition.get(condition),
        ]
        overrides = [*(of_study if row.recipe is None else []), row.training]
        return {name: value for one in overrides if one for name, value in one.model_dump().items()}


class Config(ConfigModel):
    """config/config.yaml, and the keys of `snakemake --config`."""

    study: str = "demo"
    """Name of a file in config/studies/, or the path of a study file; with a budget also `NAME@BUDGET`."""
    budget: Name | None = None
    """Name of one of the study's `budgets`."""

    @property
    def requested(self) -> str:
        """The study in its budget, as every command names it."""
        return f"{self.study}@{self.budget}" if self.budget else self.study
