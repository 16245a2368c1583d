"""The specs of a study's analyses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

from crossover.analyses.kinds import measure_module, text_of
from crossover.config.conditions import Condition
from crossover.config.studies import Analysis, Study
from crossover.errors import UserError
from crossover.labels import body_kind, body_name, input_name
from crossover.planning.checkpoints import PlannedCheckpoint, plan_checkpoint
from crossover.planning.code import code_of
from crossover.planning.recipes import Recipes, initial_weights
from crossover.planning.tasks import PlannedTask, plan_task
from crossover.planning.tokens import PlannedTokens, check_fit, plan_tokens
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


def plan_analyses(
    where: str,
    study: Study,
    tasks: Sequence[PlannedTask],
    checkpoints: Sequence[PlannedCheckpoint],
    conditions: dict[str, Condition],
    tokens: Mapping[tuple[str, str], PlannedTokens],
    recipes: Recipes,
) -> Iterator[PlannedAnalysis]:
    """Plan the analyses of a study.

    Args:
        where: the study, for errors.
        study: its settings.
        tasks: of the study.
        checkpoints: of the study.
        conditions: of the study, by name.
        tokens: of each task of the study with each of its checkpoints.
        recipes: of the study's cells.

    Raises:
        UserError: an analysis has too few models, or models that do not fit the task or each other.
    """
    known_tasks = {one.name: one for one in tasks}
    known_checkpoints = {one.name: one for one in checkpoints}
    for entry in study.analyses:
        analysis = entry if isinstance(entry, Analysis) else Analysis(kind=entry)
        for name in analysis.tasks or study.tasks:
            task = known_tasks.get(name) or plan_task(name, where)
            names = analysis.checkpoints or study.checkpoints
            own = [known_checkpoints.get(one) or plan_checkpoint(one, where) for one in names]
            yield from _plan_kind(where, analysis.kind, study, task, own, conditions, tokens, recipes)


def _plan_kind(
    where: str,
    kind: str,
    study: Study,
    task: PlannedTask,
    checkpoints: list[PlannedCheckpoint],
    conditions: dict[str, Condition],
    known: Mapping[tuple[str, str], PlannedTokens],
    recipes: Recipes,
) -> Iterator[PlannedAnalysis]:
    """Plan the analyses of one kind on one task: one for each model, or for each pair of models."""
    tokens = {one.name: known.get((task.name, one.name)) or plan_tokens(task, one) for one in checkpoints}
    models = [model for one in checkpoints for model in _models(task, tokens[one.name], one, conditions, recipes)]
    groups = list(combinations(models, 2 if text_of(kind).paired else 1))
    if not groups:
        raise UserError(
            f"{where}: the analysis {kind} compares models, but there is only one on task {task.name}; add a "
            "checkpoint, or a condition with another body."
        )
    needed = [spec for one in checkpoints for spec in (*one.specs, *tokens[one.name].specs)]
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
    task: PlannedTask,
    tokens: PlannedTokens,
    checkpoint: PlannedCheckpoint,
    conditions: dict[str, Condition],
    recipes: Recipes,
) -> list[PlannedModel]:
    """Return a checkpoint with each body and input of the conditions, as runs on a task start from it."""
    check_fit(task, tokens.spec, checkpoint, conditions)
    models: list[PlannedModel] = []
    for name, condition in conditions.items():
        settings = ModelSettings(
            tokens=tokens.spec.name,
            checkpoint=checkpoint.files,
            body=condition.body,
            input=condition.input,
            trained=condition.model_copy(update={"trained": "all"}).trained_parts,
            **initial_weights(condition, recipes.of(task.name, checkpoint.name, name)),
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
