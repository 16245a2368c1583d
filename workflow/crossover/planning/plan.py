"""From a study's config to everything that has to be made: names, specs, and what needs what.

It runs at each parse of the Snakefile, so it imports no heavy library and reads no data: only the config, the code's
syntax, and the digests of a user's own files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from crossover.config.load import load_conditions, load_study
from crossover.config.studies import Study
from crossover.planning.analyses import plan_analyses
from crossover.planning.baselines import plan_baselines
from crossover.planning.cells import plan_cells
from crossover.planning.checkpoints import plan_checkpoint
from crossover.planning.parts import Parts
from crossover.planning.recipes import Recipes
from crossover.planning.study import PlannedStudy
from crossover.planning.tasks import PlannedTask, plan_task
from crossover.planning.tokens import PlannedTokens, plan_tokens
from crossover.specs.load import AnySpec
from crossover.specs.studies import StudySpec


@dataclass(frozen=True)
class Plan:
    """What one study needs.

    Attributes:
        settings: the study as configured.
        study: its spec.
        specs: every other spec by its name: datasets, tasks, tokens, checkpoints, runs, baselines, analyses.
    """

    settings: Study
    study: StudySpec = field(repr=False)
    specs: Mapping[str, AnySpec] = field(repr=False)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.study


def make_plan(requested: str) -> Plan:
    """Plan the study of that name or path.

    Raises:
        UserError: the config is wrong, or two settings of it cannot work together.
    """
    name, settings = load_study(requested)
    where = f"study {name}"
    parts = Parts(
        tasks={task: plan_task(task, where) for task in settings.all_tasks},
        checkpoints={checkpoint: plan_checkpoint(checkpoint, where) for checkpoint in settings.all_checkpoints},
        conditions=load_conditions(settings.chosen_conditions, where),
    )
    recipes = Recipes(settings, where)
    cells = list(plan_cells(settings, parts, recipes, where))
    analyses = list(plan_analyses(where, settings, parts, recipes, cells))
    baselines = list(plan_baselines(cells))
    study = PlannedStudy(name, requested, settings, parts, cells, baselines, analyses)
    return Plan(settings, study.spec, study.specs)


def plan_one_task(name: str, checkpoint: str | None) -> tuple[PlannedTask, PlannedTokens | None]:
    """Plan a task without a study.

    Args:
        name: of a file in config/tasks/.
        checkpoint: whose tokenizer the task's encoding asks for, if it does.

    Returns:
        The task, and its tokens; None when they take a checkpoint and none is given.

    Raises:
        UserError: the task is not known, or its config or its files are wrong.
    """
    task = plan_task(name)
    if not checkpoint and getattr(task.encoding_for(None), "tokenizer", None) == "checkpoint":
        return task, None
    return task, plan_tokens(task, plan_checkpoint(checkpoint) if checkpoint else None)
