"""The cells of a study: its cross product and its rows, without combinations that mean nothing."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from crossover.config.readers import SplitSizes
from crossover.config.studies import Row, Study
from crossover.errors import UserError
from crossover.planning.parts import Parts
from crossover.planning.recipes import Recipes
from crossover.planning.runs import Aliases, PlannedCell, plan_cell
from crossover.planning.tasks import PlannedTask
from crossover.specs.studies import Cell


def plan_cells(study: Study, parts: Parts, recipes: Recipes, where: str) -> list[PlannedCell]:
    """Plan the cells of a study: task by task, then in the order of its rows.

    Conditions that do not fit a task or checkpoint are left out, and noted in `parts`.

    Args:
        study: as configured.
        parts: its tasks, checkpoints and conditions.
        recipes: of its cells.
        where: `study NAME`, with which error messages begin.

    Raises:
        UserError: two settings cannot work together, a cell is listed twice, or a task or a row has no cell.
    """
    aliases = Aliases(kept=parts.kept_runs)
    cells = [
        cell
        for number, row in enumerate(study.all_rows)
        for cell in _of_row(study, number, row, parts, recipes, aliases)
    ]
    _check_cells(study, [planned.cell for planned in cells], parts, where)
    order = [task.name for task in study.tasks_at_sizes]
    return sorted(cells, key=lambda planned: order.index(planned.cell.task))


def _check_cells(study: Study, cells: list[Cell], parts: Parts, where: str) -> None:
    """Raise if a cell is listed twice, or a task, checkpoint or condition is in none."""
    twice = [key for key, number in Counter(cell.key for cell in cells).items() if number > 1]
    for task, checkpoint, condition in twice:
        raise UserError(
            f"{where}: condition {condition} with checkpoint {checkpoint} on task {task} is listed twice; remove it from "
            "conditions or from a row, or give the row a name."
        )
    tasks = {task.name: task.task for task in study.tasks_at_sizes}
    used = {
        "task": {tasks[cell.task] for cell in cells},
        "checkpoint": {cell.checkpoint for cell in cells},
        "condition": {cell.condition for cell in cells},
    }
    for kind, names in (("task", parts.tasks), ("checkpoint", parts.checkpoints), ("condition", parts.conditions)):
        if unused := [name for name in names if name not in used[kind]]:
            reasons = {one.reason for one in parts.left_out.values() if getattr(one, kind) == unused[0]}
            why = " and ".join(sorted(reasons)) or "every row has others"
            raise UserError(f"{where}: {kind} {unused[0]} has no cell, since {why}; remove it, or add what fits it.")
    runs = {cell.key: cell.run for cell in cells}
    for asked in study.compare:
        sides = [[runs.get((task, arm.checkpoint, arm.condition)) for arm in (asked.a, asked.b)] for task in tasks]
        both = [(a, b) for a, b in sides if a and b]
        if not both:
            raise UserError(
                f"{where}: compare: the sides of ‘{asked.question}’ have no task in common; remove it, or add one."
            )
        if all(a == b for a, b in both):
            raise UserError(
                f"{where}: compare: the sides of ‘{asked.question}’ are one model under two names; remove it."
            )


def _check_sizes(row: Row, task: PlannedTask) -> None:
    """Raise if a row asks for more training items than a generated task has; of others, the run knows the number."""
    sizes: SplitSizes | None = getattr(task.config.reader, "sizes", None)
    there = sizes.train if sizes else math.inf
    too_large = [items for items in row.train_items if items != "all" and items > there]
    if too_large:
        raise UserError(
            f"train_items: {too_large[0]} is more than the {there} training items of task {task.name}; use a smaller number, or "
            f"raise sizes.train in config/tasks/{task.name}.yaml."
        )


def _of_row(
    study: Study, number: int, row: Row, parts: Parts, recipes: Recipes, aliases: Aliases
) -> Iterator[PlannedCell]:
    names = [one.name for one in row.chosen_conditions]
    analysed_after = study.analysed_after_training
    for task, checkpoint in product(
        map(parts.tasks.__getitem__, row.tasks), map(parts.checkpoints.__getitem__, row.checkpoints)
    ):
        _check_sizes(row, task)
        conditions = parts.fitting(task, checkpoint, names)
        tokens = parts.tokens_of(task, checkpoint).spec
        for items, (name, condition) in product(row.train_items, conditions.items()):
            recipe = recipes.of(number, task.name, checkpoint.name, name)
            analysed = recipe.select if (task.name, checkpoint.name) in analysed_after else None
            keep = analysed if study.keep_weights == "none" else study.keep_weights
            drawn = study.train_items_drawn
            planned = plan_cell(
                row.seeds, task, items, drawn, tokens, checkpoint, name, condition, recipe, aliases, keep
            )
            own = number if row.has_own_training else None
            planned = replace(planned, cell=planned.cell.model_copy(update={"own_training": own}))
            yield planned if study.keep_weights == "none" else planned.keeping_weights(checkpoint)
