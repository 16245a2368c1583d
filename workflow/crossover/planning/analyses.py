"""The specs of a study's analyses."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

from crossover.analyses.kinds import measure_module, text_of
from crossover.config.heads import Head
from crossover.config.sizes import TaskAtSize
from crossover.config.studies import Study
from crossover.errors import UserError
from crossover.labels import body_kind, body_name, input_name
from crossover.planning.base_checkpoints import PlannedCheckpoint
from crossover.planning.checkpoints import plan_checkpoint
from crossover.planning.code import code_of
from crossover.planning.heads import check_head
from crossover.planning.parts import Parts
from crossover.planning.recipes import Recipes, initial_weights
from crossover.planning.runs import PlannedCell
from crossover.planning.tasks import PlannedTask, plan_task
from crossover.specs.analyses import AnalysisSpec
from crossover.specs.load import AnySpec
from crossover.specs.runs import AnalysedSettings, ModelSettings
from crossover.specs.studies import ModelLabels, StudyAnalysis


@dataclass(frozen=True)
class PlannedModel:
    """A model before or after it is fine-tuned.

    Attributes:
        settings: of the model.
        start: of the model before it is fine-tuned.
        labels: its names in the report.
        adapter_modules: the modules of its architecture.
        seeds: of the weights.
    """

    settings: AnalysedSettings
    start: AnalysedSettings
    labels: ModelLabels
    adapter_modules: list[str]
    seeds: tuple[int, ...]

    def is_comparable(self, other: "PlannedModel") -> bool:
        """Return whether two models are at the same stage, or one is what has become of the other."""
        same_stage = bool(self.settings.trained_by) == bool(other.settings.trained_by)
        return same_stage or self.start == other.start


@dataclass(frozen=True)
class PlannedAnalysis:
    """An analysis of a study, and the specs that it needs."""

    entry: StudyAnalysis
    specs: list[AnySpec]


def plan_analyses(
    where: str, study: Study, parts: Parts, recipes: Recipes, cells: Sequence[PlannedCell]
) -> Iterator[PlannedAnalysis]:
    """Plan the analyses of a study.

    Args:
        where: the study, for errors.
        study: its settings.
        parts: its tasks, checkpoints and conditions.
        recipes: of the study's cells.
        cells: of the study.

    Raises:
        UserError: an analysis has too few models, or models that do not fit the task or each other.
    """
    for analysis in study.all_analyses:
        for name in analysis.tasks:
            task = parts.tasks.get(name) or plan_task(name, where)
            checkpoints = [parts.checkpoints.get(one) or plan_checkpoint(one, where) for one in analysis.checkpoints]
            models: list[PlannedModel] = []
            for checkpoint in checkpoints:
                before = _models(study, task, checkpoint, parts, recipes)
                models += [model for model in before.values() if "before" in analysis.of]
                if "after" in analysis.of:
                    models += _trained_models(study, task, checkpoint, before, cells)
            # Conditions may differ in what they train alone, or be one model under two names.
            unique = list({model.settings.model_dump_json(): model for model in models}.values())
            yield from _plan_kind(where, analysis.kind, task, checkpoints, unique, analysis.of == ["after"], parts)


def _plan_kind(
    where: str,
    kind: str,
    task: PlannedTask,
    checkpoints: list[PlannedCheckpoint],
    models: list[PlannedModel],
    after_alone: bool,
    parts: Parts,
) -> Iterator[PlannedAnalysis]:
    """Plan the analyses of one kind on one task: one for each model, or for each pair of models."""
    groups = [
        group for group in combinations(models, 2 if text_of(kind).paired else 1) if group[0].is_comparable(group[-1])
    ]
    if not groups:
        raise UserError(f"{where}: the analysis {kind} {_what_is_missing(task, models, after_alone)}")
    needed = [spec for one in checkpoints for spec in (*one.specs, *parts.tokens_of(task, one).specs)]
    for group in groups:
        spec = _spec(where, kind, task.name, group)
        entry = StudyAnalysis(
            name=spec.name,
            kind=kind,
            seeds=tuple(seed for seed in group[0].seeds if seed in group[-1].seeds),
            task=task.name,
            title=task.config.title,
            simulated=task.config.simulated,
            metric=task.config.target.metric,
            subset=task.subset,
            models=tuple(model.labels for model in group),
        )
        yield PlannedAnalysis(entry, [*task.specs, *needed, spec])


def _what_is_missing(task: PlannedTask, models: list[PlannedModel], after_alone: bool) -> str:
    """Say why there is nothing to analyse, and what to do."""
    if not models and not after_alone:
        return (
            f"has no model on task {task.name}, since no condition of the study fits it; give the analysis other tasks."
        )
    if not models:
        return f"has no model on task {task.name} after fine-tuning, since the study has no cells there; set of to [before]."
    return f"compares models, but there is only one on task {task.name}; add a checkpoint, or a condition with another body."


def _models(
    study: Study, task: PlannedTask, checkpoint: PlannedCheckpoint, parts: Parts, recipes: Recipes
) -> dict[str, PlannedModel]:
    """Return a checkpoint with the body and input of each of its conditions in the study, as runs on a task start from it."""
    tokens = parts.tokens_of(task, checkpoint)
    rows = study.rows_of(checkpoint.name)
    models: dict[str, PlannedModel] = {}
    for name, condition in parts.fitting(task, checkpoint, rows).items():
        recipe = recipes.of(rows[name], task.name, checkpoint.name, name)
        check_head(recipe.head, task, tokens.spec, checkpoint, name, condition)
        settings = AnalysedSettings(
            tokens=tokens.spec.name,
            checkpoint=checkpoint.files,
            body=condition.body,
            input=condition.input,
            trained=condition.model_copy(update={"trained": "all"}).trained_parts,
            **initial_weights(condition, recipe),
            head=Head(read=recipe.head.read),
            trained_by=None,
        )
        labels = ModelLabels(
            checkpoint=checkpoint.name,
            checkpoint_title=checkpoint.config.title,
            body=body_name(condition.body),
            input=input_name(condition.input),
            condition=None,
        )
        models[name] = PlannedModel(settings, settings, labels, checkpoint.adapter_modules, tuple(study.seeds))
    return models


def _trained_models(
    study: Study,
    task: PlannedTask,
    checkpoint: PlannedCheckpoint,
    before: dict[str, PlannedModel],
    cells: Sequence[PlannedCell],
) -> Iterator[PlannedModel]:
    """Yield what the runs of a task and a checkpoint have trained, with the largest of the study's data sizes."""
    sizes = [at for at in study.tasks_at_sizes if at.task == task.name]
    name = max(
        sizes, key=lambda at: math.inf if at.items == "all" else at.items, default=TaskAtSize(task.name, "all")
    ).name
    for planned in cells:
        cell = planned.cell
        if (cell.task, cell.checkpoint) == (name, checkpoint.name):
            start = before[cell.condition]
            run = {key: getattr(planned.run, key) for key in ModelSettings.model_fields}
            yield PlannedModel(
                AnalysedSettings(**run, trained_by=planned.run.name),
                start.settings,
                start.labels.model_copy(update={"condition": cell.condition}),
                start.adapter_modules,
                cell.seeds,
            )


def _spec(where: str, kind: str, task: str, group: tuple[PlannedModel, ...]) -> AnalysisSpec:
    """Return the spec of an analysis of one model, or of two.

    Raises:
        UserError: it compares models position by position that split the same items into different tokens.
    """
    if len({model.settings.tokens for model in group}) > 1:
        raise UserError(
            f"{where}: the analysis {kind} compares models position by position, but checkpoints "
            f"{' and '.join(model.labels.checkpoint for model in group)} encode task {task} with different tokenizers; give "
            "the analysis other tasks, or checkpoints with the same tokenizer."
        )
    names = [
        f"{model.labels.checkpoint}-{model.labels.condition or body_kind(model.settings.body).replace(' ', '-')}"
        for model in group
    ]
    adapters = chain.from_iterable(model.adapter_modules for model in group)
    code = code_of("crossover.analyses.stage", measure_module(kind), *adapters)
    models = tuple(model.settings for model in group)
    return AnalysisSpec.named(".".join([kind, task, *names]), analysis=kind, models=models, code=code)
