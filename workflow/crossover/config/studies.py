"""Studies: config/studies/NAME.yaml and config/config.yaml."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError, field_validator, model_validator

from crossover.config.base import ConfigModel, Name, TitledModel
from crossover.config.training import Training, TrainingOverride


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


class Study(TitledModel):
    """config/studies/NAME.yaml: every task x checkpoint x condition is a cell."""

    question: str
    """Question that the report answers."""
    tasks: list[Name] = Field(min_length=1)
    """Names of files in config/tasks/."""
    checkpoints: list[Name] = Field(min_length=1)
    """Names of files in config/checkpoints/."""
    conditions: list[Name] = Field(min_length=1)
    """Names of entries in config/conditions.yaml."""
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    """Random seeds of the final runs."""
    learning_rates: list[PositiveFloat] = Field(min_length=1)
    """Candidate learning rates. With more than one, the rate of each cell is selected on the validation split."""
    sweep_seed: Annotated[int, Field(ge=0)] = 1000
    """Random seed of the sweep that selects learning rates. It must not be one of `seeds`, so that the final scores are
    independent of the selection."""
    training: Training = Training()
    """Training settings of all runs."""
    training_by_task: dict[Name, TrainingOverride] = Field({})  # type: ignore[valid-type]
    """Training settings that override `training` for some tasks."""
    hardware: Hardware = Hardware()
    """Resources of each run."""
    analyses: list[AnalysisKind | Analysis] = Field([])
    """Analyses of the models before fine-tuning: each checkpoint with each body and input of `conditions`."""

    @field_validator("tasks", "checkpoints", "conditions", "seeds", "learning_rates", "analyses")
    @classmethod
    def entries_are_unique(cls, values: list[object]) -> list[object]:
        """Raise if a name or number is listed twice."""
        repeated = {str(value) for value in values if values.count(value) > 1}
        if repeated:
            raise ValueError(f"listed twice: {', '.join(sorted(repeated))}")
        return values

    @model_validator(mode="after")
    def sweep_seed_is_not_final(self) -> "Study":
        """Raise if learning rates are selected with the seed of a final run."""
        if len(self.learning_rates) > 1 and self.sweep_seed in self.seeds:
            raise ValueError(f"sweep_seed {self.sweep_seed} must not be one of seeds")
        return self

    @model_validator(mode="after")
    def overrides_are_valid(self) -> "Study":
        """Raise unless the training settings of each task are within their limits."""
        for task in self.training_by_task:
            try:
                self.training_of(task)
            except ValidationError as error:
                problem = error.errors()[0]
                where = ".".join(["training_by_task", task, *map(str, problem["loc"])])
                message = problem["msg"].removeprefix("Value error, ")
                raise ValueError(f"{where}: {message[0].lower()}{message[1:]}") from error
        return self

    @model_validator(mode="after")
    def overrides_name_tasks(self) -> "Study":
        """Raise if training settings are given for a task that the study does not have."""
        others = sorted(set(self.training_by_task) - set(self.tasks))
        if others:
            raise ValueError(f"training_by_task names {others[0]}, which is not one of tasks")
        return self

    def training_of(self, task: str) -> Training:
        """Return the training settings of one task, with its overrides applied."""
        override = self.training_by_task.get(task)
        changed: dict[str, Any] = override.model_dump(exclude_unset=True) if override else {}
        return Training(**{**self.training.model_dump(), **changed})


class Config(ConfigModel):
    """config/config.yaml, and the keys of `snakemake --config`."""

    study: str = "demo"
    """Name of a file in config/studies/, or the path of a study file."""
