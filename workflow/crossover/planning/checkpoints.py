"""The specs of a checkpoint of any kind, which may be what a run has trained."""

from dataclasses import dataclass, field

from crossover.config.bodies import TruncatedBody
from crossover.config.checkpoints import TrainedHere
from crossover.config.conditions import Condition
from crossover.config.load import load_checkpoint, load_conditions
from crossover.errors import UserError
from crossover.planning.base_checkpoints import PlannedCheckpoint, plan_base_checkpoint
from crossover.planning.recipes import changed_recipe, load_settings
from crossover.planning.runs import Aliases, plan_cell, plan_trained
from crossover.planning.tasks import PlannedTask, plan_task
from crossover.planning.tokens import check_fit, misfit, plan_tokens
from crossover.specs.checkpoints import CheckpointFiles
from crossover.specs.load import AnySpec
from crossover.specs.runs import RunSpec


@dataclass(frozen=True)
class TrainedCheckpoint(PlannedCheckpoint):
    """What a run has trained.

    Attributes:
        base: the checkpoint that the run starts from.
        task: that it was trained on.
        condition: of the run.
        run: its spec.
        needed: the specs of its task, its tokens, the checkpoint that it starts from, and the runs that try rates for it.
    """

    base: PlannedCheckpoint = field(kw_only=True)
    task: PlannedTask = field(kw_only=True)
    condition: Condition = field(kw_only=True)
    run: RunSpec = field(kw_only=True)
    needed: list[AnySpec] = field(kw_only=True)

    @property
    def specs(self) -> list[AnySpec]:
        """All specs of the checkpoint."""
        assert self.spec is not None
        return [*self.needed, self.spec]

    @property
    def subset(self) -> str | None:
        """What part of the first checkpoint's corpus or files, or else of the task's data, a mirror holds."""
        return self.base.subset or self.task.subset

    @property
    def owner_of_tokenizer(self) -> PlannedCheckpoint:
        """The checkpoint that its tokenizer came with."""
        return self.base.owner_of_tokenizer

    @property
    def origin(self) -> str:
        """What it is, in words."""
        return f"{self.base.name}, trained here on {self.task.name}"

    @property
    def positions(self) -> int | None:
        """The longest sequence that it reads."""
        return self.base.positions

    @property
    def reads_patches(self) -> bool:
        """Whether the checkpoint that the run starts from was pretrained on patches, and so has an input layer of theirs."""
        return self.base.reads_patches

    @property
    def blocks(self) -> int | None:
        """Its number of blocks."""
        body = self.condition.body
        return body.blocks if isinstance(body, TruncatedBody) and self.base.blocks else self.base.blocks

    @property
    def adapter_modules(self) -> list[str]:
        """The modules of its architecture."""
        return self.base.adapter_modules

    @property
    def runs(self) -> list[RunSpec]:
        """The run, and those that have trained the checkpoint that it starts from."""
        return [self.run, *(self.base.runs if isinstance(self.base, TrainedCheckpoint) else [])]

    @property
    def has_pooler(self) -> bool:
        """Whether the run read through the pooler of the checkpoint, and so has it."""
        return self.run.head.pooler == "pretrained"


def plan_checkpoint(name: str, where: str | None = None, asked_by: tuple[str, ...] = ()) -> PlannedCheckpoint:
    """Plan a checkpoint of config/checkpoints/.

    Args:
        name: of its file.
        where: what asked for it, for errors.
        asked_by: checkpoints that are trained from it.

    Raises:
        UserError: the checkpoint is not known, its config or its files are wrong, or it is trained from itself.
    """
    config = load_checkpoint(name, where)
    if not isinstance(config, TrainedHere):
        return plan_base_checkpoint(name, config)
    file = f"config/checkpoints/{name}.yaml"
    if name in asked_by:
        raise UserError(f"{file}: {' is trained from '.join([*asked_by, name])}; give one of them another checkpoint.")
    base = plan_checkpoint(config.checkpoint, file, (*asked_by, name))
    return _plan_trained_here(name, config, base, file)


def _plan_trained_here(name: str, config: TrainedHere, base: PlannedCheckpoint, file: str) -> TrainedCheckpoint:
    chosen = config.chosen_condition
    condition = load_conditions([chosen], file)[chosen.name]
    recipe = changed_recipe(
        load_settings(config.recipe, file),
        config.training.model_dump(),  # type: ignore[attr-defined]
        f"{file}: training",
    )
    if recipe.vit_positions == "zeros" and base.adapter and base.adapter.zero_positions:
        raise UserError(
            f"{file}: a ViT with new positions cannot be a checkpoint; set vit_positions of training to checkpoint."
        )
    task = plan_task(config.task, file)
    tokens = plan_tokens(task, base)
    if reason := misfit(tokens.spec, base, condition):
        raise UserError(f"{file}: condition {chosen.name} does not fit, since {reason}; choose another.")
    check_fit(task, tokens.spec, base, {chosen.name: condition})
    cell = plan_cell(
        [config.seed],
        task,
        config.train_items,
        config.train_items_drawn,
        tokens.spec,
        base,
        chosen.name,
        condition,
        recipe,
        Aliases(),
        recipe.select,
    )
    made = plan_trained(name, cell.run, config.seed, base)
    files = CheckpointFiles(name=made.name, folder=made.folder)
    needed = [*task.specs, *tokens.specs, *base.specs, *cell.specs]
    return TrainedCheckpoint(
        name, config, files, made, base=base, task=task, condition=condition, run=cell.run, needed=needed
    )
