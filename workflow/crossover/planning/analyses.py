"""The specs of a study's analyses."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, combinations

from crossover.analyses.kinds import measure_module, text_of
from crossover.config.heads import Head
from crossover.config.studies import Analysis, Study
from crossover.errors import UserError
from crossover.labels import body_kind, body_name, input_name
from crossover.planning.checkpoints import PlannedCheckpoint, plan_checkpoint
from crossover.planning.code import code_of
from crossover.planning.heads import check_head
from crossover.planning.parts import Parts
from crossover.planning.recipes import Recipes, initial_weights
from crossover.planning.tasks import PlannedTask, plan_task
from crossover.specs.analyses import AnalysisSpec
from crossover.specs.load import AnySpec
from crossover.specs.runs import ModelSettings
from crossover.specs.studies import ModelLabels, StudyAnalysis


@dataclass(frozen=True)
class PlannedModel:
    """A model before it is fine-tuned: its settings, its names in the report, and the modules of its architecture."""

    settings: ModelSettings
    labels: ModelLabels
    adapter_modules: list[str]


@dataclass(frozen=True)
class PlannedAnalysis:
    """An analysis of a study, and the specs that it needs."""

    entry: StudyAnalysis
    specs: list[AnySpec]


def plan_analyses(where: str, study: Study, parts: Parts, recipes: Recipes) -> Iterator[PlannedAnalysis]:
    """Plan the analyses of a study.

    Args:
        where: the study, for errors.
        study: its settings.
        parts: its tasks, checkpoints and conditions.
        recipes: of the study's cells.

    Raises:
        UserError: an analysis has too few models, or models that do not fit the task or each other.
    """
    for entry in study.analyses:
        analysis = entry if isinstance(entry, Analysis) else Analysis(kind=entry)
        for name in analysis.tasks or study.all_tasks:
            task = parts.tasks.get(name) or plan_task(name, where)
            names = analysis.checkpoints or study.all_checkpoints
            own = [parts.checkpoints.get(one) or plan_checkpoint(one, where) for one in names]
            yield from _plan_kind(where, analysis.kind, study, task, own, parts, recipes)


def _plan_kind(
    where: str,
    kind: str,
    study: Study,
    task: PlannedTask,
    checkpoints: list[PlannedCheckpoint],
    parts: Parts,
    recipes: Recipes,
) -> Iterator[PlannedAnalysis]:
    """Plan the analyses of one kind on one task: one for each model, or for each pair of models."""
    models = [model for one in checkpoints for model in _models(study, task, one, parts, recipes)]
    groups = list(combinations(models, 2 if text_of(kind).paired else 1))
    if not groups:
        raise UserError(
            f"{where}: the analysis {kind} compares models, but there is only one on task {task.name}; add a "
            "checkpoint, or a condition with another body."
        )
    needed = [spec for one in checkpoints for spec in (*one.specs, *parts.tokens_of(task, one).specs)]
    for group in groups:
        spec = _spec(where, kind, task.name, group)
        entry = StudyAnalysis(
            name=spec.name,
            kind=kind,
            seeds=tuple(study.seeds),
            task=task.name,
            title=task.config.title,
            simulated=task.config.simulated,
            metric=task.config.target.metric,
            subset=task.subset,
            models=tuple(model.labels for model in group),
        )
        yield PlannedAnalysis(entry, [*task.specs, *needed, spec])


def _models(
    study: Study, task: PlannedTask, checkpoint: PlannedCheckpoint, parts: Parts, recipes: Recipes
) -> list[PlannedModel]:
    """Return a checkpoint with each body and input of its conditions in the study, as runs on a task start from it."""
    tokens = parts.tokens_of(task, checkpoint)
    rows = study.rows_of(checkpoint.name)
    models: list[PlannedModel] = []
    for name, condition in parts.fitting(task, checkpoint, rows).items():
        recipe = recipes.of(rows[name], task.name, checkpoint.name, name)
        check_head(recipe.head, task, tokens.spec, checkpoint, name, condition)
        settings = ModelSettings(
            tokens=tokens.spec.name,
            checkpoint=checkpoint.files,
            body=condition.body,
            input=condition.input,
            trained=condition.model_copy(update={"trained": "all"}).trained_parts,
            **initial_weights(condition, recipe),
            head=Head(read=recipe.head.read),
        )
        labels = ModelLabels(
            checkpoint=checkpoint.name,
            checkpoint_title=checkpoint.config.title,
            body=body_name(condition.body),
            input=input_name(condition.input),
        )
        if settings not in [known.settings for known in models]:  # conditions may differ in what they train alone
            models.append(PlannedModel(settings, labels, checkpoint.adapter_modules))
    return models


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
    names = [f"{model.labels.checkpoint}-{body_kind(model.settings.body).replace(' ', '-')}" for model in group]
    adapters = chain.from_iterable(model.adapter_modules for model in group)
    code = code_of("crossover.analyses.stage", measure_module(kind), *adapters)
    models = tuple(model.settings for model in group)
    return AnalysisSpec.named(".".join([kind, task, *names]), analysis=kind, models=models, code=code)
