"""The recipe of each cell of a study: the named one, with what the study changes."""

from dataclasses import dataclass, field
from typing import TypedDict, get_args

from crossover.config.bodies import RandomInit, starts_random
from crossover.config.conditions import Condition
from crossover.config.inputs import InputScale
from crossover.config.load import load_recipe, parse
from crossover.config.recipes import Recipe, TrainingKind
from crossover.config.studies import Study
from crossover.errors import UserError


class InitialWeights(TypedDict):
    """How a recipe has the weights of a condition drawn that the checkpoint does not have; None for those that it has."""

    random_init: RandomInit | None
    input_scale: InputScale | None


def initial_weights(condition: Condition, recipe: Recipe) -> InitialWeights:
    """Return what of a recipe a condition's initial weights depend on, and nothing else."""
    return {
        "random_init": recipe.random_init if starts_random(condition.body) else None,
        "input_scale": recipe.input_scale if condition.input == "new" else None,
    }


@dataclass(frozen=True)
class Recipes:
    """The recipes of a study's cells.

    Attributes:
        study: the study as configured.
        base: the recipe that it names.
        where: `study NAME`, with which error messages begin.
        merged: the recipes made so far, by the names of what they are changed for; most cells share one.
    """

    study: Study
    base: Recipe
    where: str
    merged: dict[tuple[tuple[str, str], ...], Recipe] = field(default_factory=dict)

    @classmethod
    def load(cls, study: Study, where: str) -> "Recipes":
        """Load the recipe that a study names.

        Raises:
            UserError: there is none of that name, or it is wrong.
        """
        file = load_recipe(study.recipe, where)
        return cls(study, Recipe(**{name: getattr(file, name) for name in Recipe.model_fields}), where)

    def of(self, task: str, checkpoint: str, condition: str) -> Recipe:
        """Return the recipe of a cell.

        Raises:
            UserError: its settings cannot work together, or its rates would be selected with the seed of a final run.
        """
        names = {"task": task, "checkpoint": checkpoint, "condition": condition}
        changed = {kind: name for kind, name in names.items() if name in getattr(self.study, f"training_by_{kind}")}
        key = tuple(changed.items())
        if key not in self.merged:
            places = ["training", *(f"training_by_{kind}.{name}" for kind, name in changed.items())]
            self.merged[key] = self._merge(f"{self.where}: {' with '.join(places)}", **changed)
        return self.merged[key]

    def _merge(self, where: str, **names: str) -> Recipe:
        recipe: Recipe = parse(Recipe, self.base.model_dump() | self.study.changes_of(**names), where)
        shared = sorted(set(recipe.sweep_seeds) & set(self.study.seeds))
        if shared and any(len(recipe.rates_of(kind)) > 1 for kind in get_args(TrainingKind)):
            raise UserError(f"{where}: sweep_seeds: {shared[0]} is one of seeds; take another seed for the sweep.")
        return recipe
