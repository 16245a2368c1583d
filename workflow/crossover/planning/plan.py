"""From a study's config to everything that has to be made: names, specs, and what needs what.

The Snakefile asks this module and nothing else. It runs at each parse, so it imports no heavy library and
reads no data: only the config, the code's syntax, and the digests of a user's own files.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

from crossover.acquire.checkpoint import address_on_hub
from crossover.acquire.spec import dataset_spec, subset_of
from crossover.analyses.kinds import measure_module, text_of
from crossover.config.checkpoints import (
    Checkpoint,
    Corpus,
    DownloadedCheckpoint,
    HubCheckpoint,
    LocalCheckpoint,
    PretrainedHere,
    TaskCorpus,
)
from crossover.config.conditions import Condition
from crossover.config.datasets import DownloadDataset
from crossover.config.encodings import SubwordsEncoding
from crossover.config.labels import body_kind, body_name, input_name
from crossover.config.load import known_names, load_checkpoint, load_conditions, load_study, load_task
from crossover.config.studies import Analysis, Study
from crossover.config.tasks import Task
from crossover.encodings.registry import AUGMENTATIONS, ENCODERS
from crossover.errors import UserError
from crossover.files import read_json, sealed
from crossover.models.architecture import stored_size
from crossover.specs.identity import code_digests, named, remembered_digest, remembered_tree_digest
from crossover.tasks.registry import CLUSTERING, READERS

Spec = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What one study needs.

    Attributes:
        study: the study's name.
        settings: the study as configured.
        specs: every spec by its name: datasets, tasks, tokens, checkpoints, runs, and the study itself.
        cells: one entry per task x checkpoint x condition, as the study's spec lists them.
    """

    study: str
    settings: Study
    specs: Mapping[str, Spec] = field(repr=False)
    cells: list[Spec] = field(repr=False)

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Every run with one of its seeds: those that select a rate, then the final ones."""
        sweep = {(entry["run"], entry["seed"]) for cell in self.cells for entry in cell["sweep"]}
        final = {(cell["run"], seed) for cell in self.cells for seed in cell["seeds"]}
        return sorted(sweep) + sorted(final)


def make_plan(study_name: str) -> Plan:
    """Plan the study of that name or path.

    Raises:
        UserError: the config is wrong, or two settings of it cannot work together.
    """
    asked, (study_name, study) = study_name, load_study(study_name)
    tasks = {name: load_task(name, f"study {study_name}") for name in study.tasks}
    checkpoints = {name: load_checkpoint(name, f"study {study_name}") for name in study.checkpoints}
    conditions = load_conditions(study.conditions, study_name)

    specs: dict[str, Spec] = {}

    def add(spec: Spec) -> Spec:
        return specs.setdefault(spec["name"], spec)

    weights = {name: _add_checkpoint(name, checkpoint, add) for name, checkpoint in checkpoints.items()}
    prepared = {name: _add_task(name, task, add) for name, task in tasks.items()}
    tokens = {
        (task, checkpoint): _add_tokens(task, settings, prepared[task], checkpoint, weights, add)
        for task, settings in tasks.items()
        for checkpoint in checkpoints
    }
    cells = []
    for task in tasks:
        for checkpoint in checkpoints:
            _check_length(task, tasks[task], checkpoint, checkpoints[checkpoint])
            own = Path(weights[checkpoint]["folder"], "tokenizer.json")
            for condition in conditions:
                _check_input(task, specs[tokens[task, checkpoint]], condition, conditions[condition], checkpoint, own)
                stem = f"{task}.{checkpoint}.{condition}"
                base = _run_identity(
                    tokens[task, checkpoint],
                    weights[checkpoint],
                    conditions[condition],
                    study.training_of(task),
                    getattr(tasks[task].encoding, "augment", None),
                )
                cells.append(
                    {"task": task, "checkpoint": checkpoint, "condition": condition} | _add_runs(stem, base, study, add)
                )
    analyses = _add_analyses(f"study {study_name}", study, conditions, specs, add)
    add(
        _study_spec(
            study_name, asked, study, tasks, checkpoints, conditions, prepared, tokens, weights, cells, analyses, specs
        )
    )
    return Plan(study_name, study, specs, cells)


def plan_task(name: str, checkpoint: str | None) -> dict[str, Spec | None]:
    """The specs that one task needs, without a study.

    Args:
        name: of a file in config/tasks/.
        checkpoint: the one whose tokenizer the task's encoding asks for, if it does.

    Returns:
        `dataset` (None for a generator), `task`, and `tokens` (None when it takes a checkpoint and none is given).

    Raises:
        UserError: the task is not known, or its config or its files are wrong.
    """
    specs: dict[str, Spec] = {}

    def add(spec: Spec) -> Spec:
        return specs.setdefault(spec["name"], spec)

    task = load_task(name)
    prepared = specs[_add_task(name, task, add)]
    weights = {checkpoint: _add_checkpoint(checkpoint, load_checkpoint(checkpoint), add)} if checkpoint else {}
    tokens = None
    if checkpoint or getattr(task.encoding, "tokenizer", None) != "checkpoint":
        tokens = specs[_add_tokens(name, task, prepared["name"], checkpoint or "", weights, add)]
    dataset = specs[prepared["dataset"]] if prepared["dataset"] else None
    return {"dataset": dataset, "task": prepared, "tokens": tokens}


# --- tasks ------------------------------------------------------------------------------------------------


def _add_task(name: str, task: Task, add: Any) -> str:
    """Add the specs of a task's dataset and items; return the name of the items."""
    dataset = add(dataset_spec(task.dataset)) if task.dataset else None
    splitters = [CLUSTERING] if task.split and task.split.by == "similarity" else []
    return add(
        named(
            name,
            {
                "kind": "task",
                "task": name,
                "dataset": dataset["name"] if dataset else None,
                "reader": task.reader.model_dump(),
                "split": task.split.model_dump() if task.split else None,
                "policy": task.policy.model_dump() if task.dataset else None,
                "letters": task.domain if task.dataset and task.domain in ("dna", "protein") else None,
                "target": task.target.model_dump(),
                "simulated": task.simulated,
                "code": _code("crossover.tasks.prepare.stage", READERS[task.reader.kind], *splitters),
            },
            about={"licence": task.licence},
        )
    )["name"]


def _add_tokens(name: str, task: Task, prepared: str, checkpoint: str, weights: dict[str, Spec], add: Any) -> str:
    """Add the spec of a task's tokens; return its name. They are a checkpoint's own where its tokenizer makes them."""
    encoding = task.encoding.model_dump()
    kind = encoding["kind"]
    identity = {
        "kind": "tokens",
        "task": prepared,
        "encoding": encoding,
        "code": _code("crossover.encodings.tokenize", ENCODERS[kind]),
    }
    stem = f"{name}-{kind}"
    if isinstance(task.encoding, SubwordsEncoding):
        source = task.encoding.tokenizer
        if source == "checkpoint":
            stem, source = f"{stem}-{checkpoint}", checkpoint
        identity["tokenizer"] = _tokenizer(source, f"config/tasks/{name}.yaml", weights, add)
    return add(named(stem, identity))["name"]


def _tokenizer(source: str, where: str, weights: dict[str, Spec], add: Any) -> Spec:
    """The file of a tokenizer, given by the name of a checkpoint or by a path, and its digest unless it is made here."""
    if source not in weights and source in known_names("checkpoints"):
        weights = {source: _add_checkpoint(source, load_checkpoint(source, where), add)}
    file = Path(weights[source]["folder"], "tokenizer.json") if source in weights else Path(source)
    if source in weights and "sha256" not in weights[source]:  # pretrained here, with a tokenizer of its own
        return {"file": str(file)} | {key: weights[source][key] for key in ["receipt"] if key in weights[source]}
    if not file.is_file():
        raise UserError(
            f"{where}: encoding.tokenizer needs {file}, which is missing; save the tokenizer there in the form of the "
            "Hugging Face tokenizers library, or choose another encoding."
        )
    return {"file": str(file), "sha256": remembered_digest(file)}


def _subset(specs: Mapping[str, Spec], name: str) -> str | None:
    """What part of its data a dataset, a task or a checkpoint has, in words, or None when it has all."""
    spec = specs.get(name, {"kind": None})
    match spec:
        case {"kind": "dataset"}:
            return subset_of(spec)
        case {"kind": "task", "dataset": str(origin)} | {"kind": "checkpoint", "corpus": origin}:
            return _subset(specs, origin)
    return None  # a generator's task; weights that were there before


@cache
def _code(*modules: str) -> dict[str, str]:
    return code_digests(*modules)


# --- checkpoints ------------------------------------------------------------------------------------------


def folder_of_checkpoint(name: str) -> Path:
    """Where a checkpoint of config/checkpoints/ lies when it has been made or fetched."""
    return Path(_add_checkpoint(name, load_checkpoint(name), lambda spec: spec)["folder"])


def _add_checkpoint(name: str, checkpoint: Checkpoint, add: Any) -> Spec:
    """Add the specs of a checkpoint; return how a run refers to it: its name, and the folder it lies in."""
    if isinstance(checkpoint, LocalCheckpoint):
        if set("{}<>") & set(checkpoint.path):
            raise UserError(
                f"config/checkpoints/{name}.yaml: path {checkpoint.path} has one of {{ }} < > in it, which mean patterns to "
                "Snakemake; rename the folder, or link to it under another name."
            )
        digest = remembered_tree_digest(Path(checkpoint.path))
        return {"name": f"{name}-{digest[:8]}", "folder": checkpoint.path, "sha256": digest}
    if isinstance(checkpoint, HubCheckpoint):
        origin = {"id": checkpoint.id, "revision": checkpoint.revision}
        fetched = add(named(name, {"kind": "hub", **origin, "code": _code("crossover.acquire.checkpoint")}))["name"]
        return {"name": fetched, "folder": f"resources/downloads/{fetched}"}
    if isinstance(checkpoint, DownloadedCheckpoint):
        files = add(dataset_spec(DownloadDataset(kind="download", name=name, files=checkpoint.files)))["name"]
        folder = PurePosixPath("resources/downloads", files)
        return {"name": files, "folder": str(folder / checkpoint.folder), "receipt": str(folder / "dataset.json")}
    corpus = _add_corpus(name, checkpoint.corpus, add)
    settings = checkpoint.model_dump(exclude={"title", "description", "licence", "corpus", "kind"})
    identity = {"kind": "checkpoint", "corpus": corpus, **settings, "code": _code("crossover.pretraining.pretrain")}
    made = add(named(name, identity))["name"]
    return {"name": made, "folder": f"results/checkpoints/{made}"}


def _add_corpus(checkpoint: str, corpus: Corpus, add: Any) -> str:
    """Add the specs of what a checkpoint learns from: a dataset, or a task; return its name."""
    if isinstance(corpus, TaskCorpus):
        return _add_task(corpus.task, load_task(corpus.task, f"config/checkpoints/{checkpoint}.yaml"), add)
    return add(dataset_spec(corpus))["name"]


def _check_length(task_name: str, task: Task, checkpoint_name: str, checkpoint: Checkpoint) -> None:
    """Refuse sequences that the model has no positions for before anything is computed.

    Patches have no declared length, and some configs no positions: for them the run itself checks, before its first step.
    """
    longest = getattr(task.encoding, "max_length", 0)
    positions = _positions(checkpoint)
    if positions and longest > positions:
        raise UserError(
            f"config/tasks/{task_name}.yaml: encoding.max_length is {longest}, but checkpoint {checkpoint_name} has "
            f"only {positions} positions; use at most {positions}, or a checkpoint with more."
        )


def _positions(checkpoint: Checkpoint) -> int | None:
    """The longest sequence a checkpoint can read, or None where its config leaves it to the architecture."""
    if isinstance(checkpoint, PretrainedHere):
        return checkpoint.positions
    if isinstance(checkpoint, HubCheckpoint | DownloadedCheckpoint):
        return None  # before it has been fetched
    return stored_size(read_json(Path(checkpoint.path) / "config.json"), "positions")


def _check_input(
    task: str, tokens: Spec, condition_name: str, condition: Condition, checkpoint: str, tokenizer: Path
) -> None:
    """Refuse a condition that gives symbols the embeddings of other tokens, or embeds what is no symbol."""
    if condition.input == "new":
        return
    where = f"config/tasks/{task}.yaml: condition {condition_name} embeds the tokens of checkpoint {checkpoint}, but"
    if tokens["encoding"]["kind"] == "patches":
        raise UserError(f"{where} the task's encoding is patches; choose a condition with input new, or another task.")
    used = tokens.get("tokenizer", {"file": str(tokenizer)})
    same = used["file"] == str(tokenizer) or (
        "sha256" in used and tokenizer.is_file() and used["sha256"] == remembered_digest(tokenizer)
    )
    if condition.input != "re-embedded" and not same:
        raise UserError(f"{where} its subwords are those of {used['file']}; set encoding.tokenizer to checkpoint.")


def _origin(checkpoint: Checkpoint) -> str | None:
    """Where the weights are from, when that is on the web."""
    match checkpoint:
        case HubCheckpoint():
            return address_on_hub(checkpoint.id, checkpoint.revision)
        case DownloadedCheckpoint():
            return checkpoint.files[0].url
    return None


# --- runs -------------------------------------------------------------------------------------------------


def _run_identity(tokens: str, checkpoint: Spec, condition: Condition, training: Any, augment: str | None) -> Spec:
    return {
        "kind": "run",
        "tokens": tokens,
        "checkpoint": checkpoint,
        **condition.model_dump(include={"body", "input"}),
        "trained": condition.trained_parts,
        "training": training.model_dump(),
        "code": _code("crossover.training.finetune", *([AUGMENTATIONS[augment]] if augment else [])),
    }


def _add_runs(stem: str, base: Spec, study: Study, add: Any) -> Spec:
    """Add the specs of a cell's runs; return the cell's run, seeds, rate file and sweep."""
    seeds = list(study.seeds)
    if len(study.learning_rates) == 1:
        run = add(named(stem, base | {"learning_rate": study.learning_rates[0], "score_test": True}))["name"]
        return {"run": run, "seeds": seeds, "rate": None, "sweep": []}
    sweep = []
    for rate in sorted(study.learning_rates):
        run = add(named(stem, base | {"learning_rate": rate, "score_test": False}))["name"]
        sweep.append({"run": run, "learning_rate": rate, "seed": study.sweep_seed})
    selected_from = [{"run": entry["run"], "seed": entry["seed"]} for entry in sweep]
    selected = {
        "learning_rate": {"selected_from": selected_from},
        "code": base["code"] | _code("crossover.training.rates"),
    }
    run = add(named(stem, base | selected | {"score_test": True}))["name"]
    return {"run": run, "seeds": seeds, "rate": f"results/rates/{run}.json", "sweep": sweep}


# --- analyses ---------------------------------------------------------------------------------------------


def _add_analyses(
    where: str, study: Study, conditions: dict[str, Condition], specs: Mapping[str, Spec], add: Any
) -> list[Spec]:
    """Add the specs of the study's analyses; return for each its name, kind, task and seeds, and what it is about."""
    entries = {}
    for entry in study.analyses:
        analysis = entry if isinstance(entry, Analysis) else Analysis(kind=entry)
        for task in analysis.tasks or study.tasks:
            settings = load_task(task, where)
            models = [
                model
                for checkpoint in analysis.checkpoints or study.checkpoints
                for model in _models(where, task, settings, checkpoint, conditions, specs, add)
            ]
            groups = list(combinations(models, 2 if text_of(analysis.kind).paired else 1))
            if not groups:
                raise UserError(
                    f"{where}: the analysis {analysis.kind} compares models, but there is only one on task {task}; name another "
                    "checkpoint, or a condition with another body."
                )
            facts = {
                "kind": analysis.kind,
                "seeds": list(study.seeds),
                "task": task,
                **settings.model_dump(include={"title", "simulated"}),
                "metric": settings.target.metric,
                "subset": _subset(specs, _add_task(task, settings, add)),
            }
            for group in groups:
                made = _add_analysis(where, analysis.kind, task, group, add)
                entries[made] = {"name": made, **facts, "models": [words for words, _ in group]}
    return list(entries.values())


def _models(
    where: str,
    task: str,
    settings: Task,
    checkpoint: str,
    conditions: dict[str, Condition],
    specs: Mapping[str, Spec],
    add: Any,
) -> list[tuple[Spec, Spec]]:
    """A checkpoint with each body and input of the conditions, as runs on a task start from it: the words, and the spec."""
    loaded = load_checkpoint(checkpoint, where)
    _check_length(task, settings, checkpoint, loaded)
    weights = _add_checkpoint(checkpoint, loaded, add)
    tokens = _add_tokens(task, settings, _add_task(task, settings, add), checkpoint, {checkpoint: weights}, add)
    models: list[tuple[Spec, Spec]] = []
    for name, condition in conditions.items():
        _check_input(task, specs[tokens], name, condition, checkpoint, Path(weights["folder"], "tokenizer.json"))
        start = condition.model_dump(include={"body", "input"})
        whole = condition.model_copy(update={"trained": "all"}).trained_parts
        training = {"dropout": None, "precision": "fp32"}  # in evaluation mode, and measured exactly
        model = {"tokens": tokens, "checkpoint": weights, **start, "trained": whole, "training": training}
        words = {"checkpoint": checkpoint, "checkpoint_title": loaded.title}
        words |= {"body": body_name(start["body"]), "input": input_name(start["input"])}
        if model not in [known for _, known in models]:  # conditions may differ in what they train alone
            models.append((words, model))
    return models


def _add_analysis(where: str, kind: str, task: str, group: tuple[tuple[Spec, Spec], ...], add: Any) -> str:
    """Add the spec of an analysis of one model, or of two; return its name.

    Raises:
        UserError: it compares models position by position that cut the same items into other tokens.
    """
    models = [model for _, model in group]
    if len({model["tokens"] for model in models}) > 1:
        raise UserError(
            f"{where}: the analysis {kind} compares models position by position, but checkpoints "
            f"{' and '.join(words['checkpoint'] for words, _ in group)} cut task {task} into subwords of their own; give the "
            "analysis other tasks, or checkpoints with one tokenizer."
        )
    names = [f"{words['checkpoint']}-{body_kind(model['body']).replace(' ', '-')}" for words, model in group]
    code = _code("crossover.analyses.stage", measure_module(kind))
    identity = {"kind": "analysis", "analysis": kind, "models": models, "code": code}
    return add(named(".".join([kind, task, *names]), identity))["name"]


# --- the study --------------------------------------------------------------------------------------------


def _study_spec(
    name: str,
    asked: str,
    study: Study,
    tasks: dict[str, Task],
    checkpoints: dict[str, Checkpoint],
    conditions: dict[str, Condition],
    prepared: dict[str, str],
    tokens: dict[tuple[str, str], str],
    weights: dict[str, Spec],
    cells: list[Spec],
    analyses: list[Spec],
    specs: Mapping[str, Spec],
) -> Spec:
    """Everything that aggregation and the report read: the words, and where the files lie.

    Its name has no hash: results/studies/<study>/ is where people look for the latest report. Hence it is sealed.
    """
    spec = {
        "kind": "study",
        "name": f"study-{name}",
        "study": name,
        "title": study.title,
        "question": study.question,
        "description": study.description,
        "confidence": 0.95,
        "threshold": {"of": 0.9},
        "tasks": {
            task: {
                **settings.model_dump(include={"title", "description", "domain", "simulated", "licence", "citation"}),
                "metric": settings.target.metric,
                "subset": _subset(specs, prepared[task]),
                "card": f"results/tasks/{prepared[task]}/card.json",
                "encodings": {
                    checkpoint: f"results/tokens/{tokens[task, checkpoint]}/encoding.json" for checkpoint in checkpoints
                },
            }
            for task, settings in tasks.items()
        },
        "checkpoints": {
            checkpoint: {
                **settings.model_dump(include={"title", "description", "licence"}),
                "folder": weights[checkpoint]["folder"],
                "origin": _origin(settings),
                "pretraining": f"{weights[checkpoint]['folder']}/checkpoint.json"
                if settings.kind == "pretrain"
                else None,
                "subset": _subset(specs, weights[checkpoint]["name"]),
            }
            for checkpoint, settings in checkpoints.items()
        },
        "conditions": {condition: settings.model_dump() for condition, settings in conditions.items()},
        "cells": cells,
        "analyses": analyses,
        # The same study asked for by its path must not look like another one.
        "commands": {
            "reproduce": shlex.join(
                ["snakemake", "--config", f"study={name if name in known_names('studies') else asked}"]
            )
        },
    }
    return sealed(spec)
