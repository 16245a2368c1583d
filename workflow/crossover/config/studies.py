"""Studies: config/studies/NAME.yaml and config/config.yaml."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError, create_model, field_validator, model_validator

from crossover.config.base import Described, Model, Name


class Training(Model):
    """How a run is trained."""

    batch_size: PositiveInt = 32
    """Items of a step."""
    micro_batch: PositiveInt | None = None
    """Items computed at once where memory is short: the gradient of a step is summed over its parts; by default all."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Numbers of the matrix products; with bf16 weights and their updates stay fp32 (automatic mixed precision)."""
    max_steps: PositiveInt = 2000
    """Optimizer steps at most."""
    evaluate_every: PositiveInt = 50
    """Steps between evaluations on the whole validation split."""
    patience: PositiveInt = 10
    """Evaluations without a better validation score before a run stops early."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's weight decay."""
    gradient_clip: PositiveFloat = 1.0
    """Largest norm of the gradient."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Dropout in the body; by default the checkpoint's own."""


# Every field of Training, each optional: what is absent is taken from the study's `training`. The merged
# settings are validated as a Training again, so limits need not be repeated here.
_OPTIONAL: dict[str, Any] = {
    name: (field.annotation | None, Field(None, description=field.description))  # type: ignore[operator]
    for name, field in Training.model_fields.items()
}
TrainingOverride = create_model(
    "TrainingOverride",
    __base__=Model,
    __doc__="Training settings of one task; what is absent is taken from the study's `training`.",
    **_OPTIONAL,
)


class Hardware(Model):
    """What a run needs. It does not enter the identity of a run."""

    gpu: Annotated[int, Field(ge=0, le=1)] = 1
    """GPUs of a run; with 0 it runs on the CPU even where there is a GPU."""
    threads: PositiveInt = 1
    """CPU threads of a run."""
    memory_mb: PositiveInt | None = None
    """Memory of a run for the scheduler of a cluster, times the number of the attempt; by default estimated."""
    minutes: PositiveInt | None = None
    """Time of a run for the scheduler of a cluster, times the number of the attempt; by default estimated."""


AnalysisKind = Literal["similarity", "heads", "probing", "attention", "optimisation"]


class Analysis(Model):
    """An analysis of other tasks or checkpoints than the study's."""

    kind: AnalysisKind
    """Layers compared by CKA and CCA, heads matched, layers probed, attention maps, or how easily models can be trained."""
    tasks: list[Name] = Field(default=[])
    """Names of files in config/tasks/, whose items are read; by default the study's."""
    checkpoints: list[Name] = Field(default=[])
    """Names of files in config/checkpoints/; by default the study's."""


class Study(Described):
    """config/studies/NAME.yaml: every task x checkpoint x condition is a cell."""

    question: str
    """The question that the report answers."""
    tasks: list[Name] = Field(min_length=1)
    """Names of files in config/tasks/."""
    checkpoints: list[Name] = Field(min_length=1)
    """Names of files in config/checkpoints/."""
    conditions: list[Name] = Field(min_length=1)
    """Names from config/conditions.yaml."""
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    """Seeds of the final runs."""
    learning_rates: list[PositiveFloat] = Field(min_length=1)
    """Rates to choose from; with more than one, each cell's rate is selected on validation data."""
    sweep_seed: Annotated[int, Field(ge=0)] = 1000
    """Seed of the runs that select the rate; not one of `seeds`, so that final scores are fresh."""
    training: Training = Training()
    """Training settings of all runs."""
    training_by_task: dict[Name, TrainingOverride] = Field({})  # type: ignore[valid-type]
    """Exceptions for some tasks."""
    hardware: Hardware = Hardware()
    """What a run needs."""
    analyses: list[AnalysisKind | Analysis] = Field([])
    """What is asked of the models before they are fine-tuned: of each checkpoint, with each body and input of `conditions`."""

    @field_validator("tasks", "checkpoints", "conditions", "seeds", "learning_rates", "analyses")
    @classmethod
    def no_repeats(cls, values: list) -> list:
        """A name or number listed twice is a slip."""
        repeated = {str(value) for value in values if values.count(value) > 1}
        if repeated:
            raise ValueError(f"listed twice: {', '.join(sorted(repeated))}")
        return values

    @model_validator(mode="after")
    def consistent(self) -> "Study":
        """Settings that contradict each other are refused."""
        if len(self.learning_rates) > 1 and self.sweep_seed in self.seeds:
            raise ValueError(f"sweep_seed {self.sweep_seed} must not be one of seeds")
        for task in self.training_by_task:
            try:
                self.training_of(task)
            except ValidationError as error:
                problem = error.errors()[0]
                raise ValueError(f"training_by_task.{task}.{problem['loc'][0]}: {problem['msg'].lower()}") from error
        strangers = sorted(set(self.training_by_task) - set(self.tasks))
        if strangers:
            raise ValueError(f"training_by_task names {strangers[0]}, which is not one of tasks")
        return self

    def training_of(self, task: str) -> Training:
        """The training settings of one task, its exceptions applied."""
        override = self.training_by_task.get(task)
        changed: dict[str, Any] = override.model_dump(exclude_none=True) if override else {}
        return Training(**{**self.training.model_dump(), **changed})


class Config(Model):
    """config/config.yaml, and the keys of `snakemake --config`."""

    study: str = "demo"
    """A name in config/studies/, or the path of a study file."""
