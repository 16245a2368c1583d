"""The spec of a cell's run."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from crossover.config.conditions import Condition
from crossover.config.recipes import Recipe
from crossover.config.sizes import Drawn, TaskAtSize, TrainItems
from crossover.config.training import KeptWeights
from crossover.encodings.registry import AUGMENTATIONS
from crossover.planning.base_checkpoints import PlannedCheckpoint
from crossover.planning.code import code_of
from crossover.planning.heads import check_head
from crossover.planning.recipes import initial_weights
from crossover.planning.tasks import PlannedTask
from crossover.specs.checkpoints import TrainedSpec
from crossover.specs.load import AnySpec
from crossover.specs.runs import CellKey, RunSpec, TrainSubset
from crossover.specs.studies import Cell
from crossover.specs.tasks import TokensSpec


@dataclass(frozen=True)
class PlannedCell:
    """A cell of a study.

    Attributes:
        cell: as the study's spec has it.
        run: what is trained.
        specs: of the run, and of the folders that its weights are kept in.
    """

    cell: Cell
    run: RunSpec
    specs: list[AnySpec]

    def keeping_weights(self, checkpoint: PlannedCheckpoint) -> "PlannedCell":
        """Return the cell with a folder for what each seed of its run, of that checkpoint, has trained."""
        stem = "-".join(self.cell.key)
        folders = [plan_trained(f"{stem}-seed-{seed}", self.run, seed, checkpoint) for seed in self.cell.seeds]
        cell = self.cell.model_copy(update={"weights": tuple(one.folder for one in folders)})
        return replace(self, cell=cell, specs=[*self.specs, *folders])


@dataclass(frozen=True)
class Aliases:
    """The conditions of a study by what they compute.

    Attributes:
        names: the first condition with each body, input, trained parts and recipe, by task and checkpoint.
        kept: runs whose weights a checkpoint of the study is: which they are, by the name of the run without them.
    """

    names: dict[tuple[str, ...], str] = field(default_factory=dict)
    kept: dict[str, KeptWeights] = field(default_factory=dict)

    def first(self, key: CellKey, condition: Condition, recipe: Recipe) -> str:
        """Return the name of the first condition that computes the same as the one of a cell."""
        parts = [part.model_dump_json() for part in condition.trained_parts]
        choices = condition.model_dump_json(include={"body", "input"})
        return self.names.setdefault(
            (key.task, key.checkpoint, choices, *parts, recipe.model_dump_json()), key.condition
        )


def plan_cell(
    seeds: Sequence[int],
    task: PlannedTask,
    items: TrainItems,
    drawn: Drawn,
    tokens: TokensSpec,
    checkpoint: PlannedCheckpoint,
    name: str,
    condition: Condition,
    recipe: Recipe,
    aliases: Aliases,
    keep: KeptWeights | None,
) -> PlannedCell:
    """Plan the run of one task with some of its training items, one checkpoint and one condition, whose name is given.

    Conditions that are the same model under two names have the same run, under the name that comes first. `keep` says which
    weights are kept.
    """
    check_head(recipe.head, task, tokens, checkpoint, name, condition)
    key = CellKey(task=TaskAtSize(task.name, items).name, checkpoint=checkpoint.name, condition=name)
    condition = condition.of_blocks(checkpoint.blocks) if checkpoint.blocks else condition
    computed = key.model_copy(update={"condition": aliases.first(key, condition, recipe)})
    augmentation = getattr(tokens.encoding, "augment", None)
    augmentations = [AUGMENTATIONS[augmentation]] if augmentation else []
    subset = None if items == "all" else TrainSubset(items=items, drawn=drawn)

    def run_with(keep: KeptWeights | None) -> RunSpec:
        return RunSpec.named(
            f"{computed.task}.{computed.checkpoint}.{computed.condition}",
            cell=computed,
            train_subset=subset,
            tokens=tokens.name,
            checkpoint=checkpoint.files,
            body=condition.body,
            input=condition.input,
            trained=condition.trained_parts,
            **initial_weights(condition, recipe),
            head=recipe.head,
            training=recipe.training,
            learning_rates=recipe.rates_of(condition.training_kind),
            keep_weights=keep,
            code=code_of("crossover.training.finetune", *checkpoint.adapter_modules, *augmentations),
        )

    run = run_with(keep)
    also = aliases.kept.get(run.name) if keep is None else None
    run = run_with(also) if also else run
    rates = run.learning_rates
    widens = bool(rates.lower or rates.higher)
    return PlannedCell(Cell(**dict(key), run=run.name, seeds=tuple(seeds), widens=widens), run, [run])


def plan_trained(stem: str, run: RunSpec, seed: int, checkpoint: PlannedCheckpoint) -> TrainedSpec:
    """Plan what a run has trained with one of its seeds as a checkpoint of its own."""
    code = code_of("crossover.training.export", *checkpoint.adapter_modules)
    return TrainedSpec.named(stem, run=run.name, seed=seed, code=code)
