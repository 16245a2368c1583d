"""The specs of a cell's runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from crossover.config.conditions import Condition
from crossover.config.recipes import Recipe
from crossover.config.sizes import TaskAtSize, TrainItems
from crossover.config.studies import Study
from crossover.encodings.registry import AUGMENTATIONS
from crossover.planning.checkpoints import PlannedCheckpoint
from crossover.planning.code import code_of
from crossover.planning.heads import check_head
from crossover.planning.recipes import initial_weights
from crossover.planning.tasks import PlannedTask
from crossover.specs.load import AnySpec
from crossover.specs.runs import CellKey, RunSpec, SeededRun, SelectedRate, TrainSubset
from crossover.specs.studies import Candidate, Cell
from crossover.specs.tasks import TokensSpec


@dataclass(frozen=True)
class PlannedCell:
    """A cell of a study, and the specs of its runs: those that try learning rates, those that may, and last the final one."""

    cell: Cell
    specs: list[AnySpec]


@dataclass(frozen=True)
class Aliases:
    """The conditions of a study by what they compute.

    Attributes:
        names: the first condition with each body, input, trained parts and recipe, by task and checkpoint.
    """

    names: dict[tuple[str, ...], str] = field(default_factory=dict)

    def first(self, key: CellKey, condition: Condition, recipe: Recipe) -> str:
        """Return the name of the first condition that computes the same as the one of a cell."""
        parts = [part.model_dump_json() for part in condition.trained_parts]
        choices = condition.model_dump_json(include={"body", "input"})
        return self.names.setdefault(
            (key.task, key.checkpoint, choices, *parts, recipe.model_dump_json()), key.condition
        )


def plan_cell(
    study: Study,
    seeds: Sequence[int],
    task: PlannedTask,
    items: TrainItems,
    tokens: TokensSpec,
    checkpoint: PlannedCheckpoint,
    name: str,
    condition: Condition,
    recipe: Recipe,
    aliases: Aliases,
) -> PlannedCell:
    """Plan the runs of one task with some of its training items, one checkpoint and one condition, whose name is given.

    Conditions that are the same model under two names have the same runs, under the name that comes first.
    """
    check_head(recipe.head, task, tokens, checkpoint, name, condition)
    key = CellKey(task=TaskAtSize(task.name, items).name, checkpoint=checkpoint.name, condition=name)
    condition = condition.of_blocks(checkpoint.blocks) if checkpoint.blocks else condition
    computed = key.model_copy(update={"condition": aliases.first(key, condition, recipe)})
    augmentation = getattr(tokens.encoding, "augment", None)
    augmentations = [AUGMENTATIONS[augmentation]] if augmentation else []
    code = code_of("crossover.training.finetune", *checkpoint.adapter_modules, *augmentations)
    trained, training = condition.trained_parts, recipe.training
    subset = None if items == "all" else TrainSubset(items=items, drawn=study.train_items_drawn)

    def run(rate: float | SelectedRate, score_test: bool, code: dict[str, str] = code) -> RunSpec:
        return RunSpec.named(
            f"{computed.task}.{computed.checkpoint}.{computed.condition}",
            cell=computed,
            train_subset=subset,
            tokens=tokens.name,
            checkpoint=checkpoint.files,
            body=condition.body,
            input=condition.input,
            trained=trained,
            **initial_weights(condition, recipe),
            head=recipe.head,
            training=training,
            learning_rate=rate,
            score_test=score_test,
            code=code,
        )

    rates = recipe.rates_of(condition.training_kind)
    if len(rates) == 1:
        final = run(rates[0], score_test=True)
        return PlannedCell(Cell(**dict(key), run=final.name, seeds=tuple(seeds), rate=None, sweep=()), [final])
    tried: list[AnySpec] = []

    def candidates(rates: list[float]) -> tuple[Candidate, ...]:
        specs = [run(rate, score_test=False) for rate in rates]
        tried.extend(specs)
        return tuple(
            Candidate(run=spec.name, seed=seed, learning_rate=rate)
            for spec, rate in zip(specs, rates, strict=True)
            for seed in recipe.sweep_seeds
        )

    sweep = candidates(rates)
    lower, higher = (tuple(map(candidates, end)) for end in recipe.further_rates_of(condition.training_kind))
    selected = SelectedRate(
        selected_from=_runs(sweep), lower=tuple(map(_runs, lower)), higher=tuple(map(_runs, higher))
    )
    selection = code_of("crossover.training.rates")
    final = run(selected, score_test=True, code=code | selection)
    further = tuple(one for decade in (*lower, *higher) for one in decade)
    cell = Cell(**dict(key), run=final.name, seeds=tuple(seeds), rate=final.rate_file, sweep=sweep, further=further)
    return PlannedCell(cell, [*tried, final])


def _runs(candidates: tuple[Candidate, ...]) -> tuple[SeededRun, ...]:
    return tuple(SeededRun(run=one.run, seed=one.seed) for one in candidates)
