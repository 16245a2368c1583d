"""The recipe of each cell of a study: the named one, with what the study changes."""

from dataclasses import dataclass, field
from typing import Any, TypedDict

from crossover.config.bodies import RandomInit, VitPositions, starts_random
from crossover.config.conditions import Condition
from crossover.config.inputs import InputScale
from crossover.config.load import load_recipe, parse
from crossover.config.recipes import Recipe
from crossover.config.studies import Row, Study
from crossover.errors import UserError


class InitialWeights(TypedDict):
    """How a recipe has weights of a condition set that are not the checkpoint's; None for those that are."""

    random_init: RandomInit | None
    input_scale: InputScale | None
    vit_positions: VitPositions


def initial_weights(condition: Condition, recipe: Recipe) -> InitialWeights:
    """Return what of a recipe a condition's initial weights depend on, and nothing else."""
    return {
        "random_init": recipe.random_init if starts_random(condition.body) else None,
        "input_scale": recipe.input_scale if condition.input == "new" else None,
        "vit_positions": recipe.vit_positions,
    }


@dataclass(frozen=True)
class Recipes:
    """The recipes of a study's cells.

    Attributes:
        study: the study as configured.
        where: `study NAME`, with which error messages begin.
        loaded: the recipes loaded so far, by name.
        merged: the recipes made so far, by the number of the row and the names of what they are changed for; most cells
            share one.
    """

    study: Study
    where: str
    loaded: dict[str, Recipe] = field(default_factory=dict)
    merged: dict[tuple[int, tuple[tuple[str, str], ...]], Recipe] = field(default_factory=dict)

    def of(self, number: int, task: str, checkpoint: str, condition: str) -> Recipe:
        """Return the recipe of a cell.

        Args:
            number: of its row, among all rows of the study.
            task: of the cell.
            checkpoint: of the cell.
            condition: of the cell.

        Raises:
            UserError: there is no recipe of the name that the study gives, or it is wrong, or its settings cannot work
                together.
        """
        names = {"task": task, "checkpoint": checkpoint, "condition": condition}
        changed = {kind: name for kind, name in names.items() if name in getattr(self.study, f"training_by_{kind}")}
        key = number, tuple(changed.items())
        if key not in self.merged:
            row = self.study.all_rows[number]
            places = ["training", *(f"training_by_{kind}.{name}" for kind, name in changed.items())]
            of_row = number >= len(self.study.all_rows) - len(
                self.study.rows
            )  # else of the cross product, which is the first
            own = f" in the row of {' and '.join(row.checkpoints)}" if of_row else ""
            self.merged[key] = self._merge(row, f"{self.where}: {' with '.join(places)}{own}", **changed)
        return self.merged[key]

    def _load(self, name: str) -> Recipe:
        if name not in self.loaded:
            self.loaded[name] = load_settings(name, self.where)
        return self.loaded[name]

    def _merge(self, row: Row, where: str, **names: str) -> Recipe:
        base = self._load(row.recipe or self.study.recipe)
        recipe = changed_recipe(base, self.study.changes_of(row, **names), where)
        if self.study.keep_weights == "best" and recipe.select == "last":
            raise UserError(f"{where}: keep_weights: best needs select: best; set it to last, or change select.")
        return recipe


def load_settings(name: str, where: str) -> Recipe:
    """Load config/recipes/<name>.yaml without what it says about itself."""
    file = load_recipe(name, where)
    return Recipe(**{key: getattr(file, key) for key in Recipe.model_fields})


def changed_recipe(recipe: Recipe, changes: dict[str, Any], where: str) -> Recipe:
    """Return a recipe with changes.

    Args:
        recipe: as its file has it.
        changes: of single settings, by name.
        where: what changes it, for errors.

    Raises:
        UserError: its settings cannot work together.
    """
    changed: Recipe = parse(Recipe, recipe.model_dump() | changes, where)
    return changed
