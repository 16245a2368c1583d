"""The plan and the code of one invocation, as files that its jobs use.

A cluster job parses the Snakefile when it starts, hours after it was planned. If it read the config then, an edit would
change what it does, or keep it from starting. So the submitting Snakemake writes its plan, the text of every spec and a
copy of this package to one folder, and its jobs use them: config and code may be edited at any time.
"""

import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crossover import PLAN_FOLDER
from crossover.config.load import chosen_study
from crossover.config.studies import Study
from crossover.files import not_written, read_json, sha256, visible_files, write_json
from crossover.planning.plan import Plan, Spec, make_plan
from crossover.specs.identity import PACKAGE, hash8

PLANS = Path("results/plans")


class SpecFiles(Mapping[str, Spec]):
    """The specs of a plan by their names, each read when it is asked for: a job needs few of thousands."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> Spec:
        path = self._folder / f"{name}.json"
        if not path.is_file():
            raise KeyError(name)
        return read_json(path)

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self._folder.glob("*.json")))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def spec_text(spec: Spec) -> str:
    """A spec as the content of its file."""
    return json.dumps(spec, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def freeze(plan: Plan) -> Path:
    """Write a plan and the code to results/plans/<study>-<hash8>/, unless they are there.

    Returns:
        The absolute path of the folder: plan.json, specs/<name>.json, code/crossover/.

    Raises:
        UserError: the folder cannot be written.
    """
    code = [path for path in visible_files(PACKAGE) if path.suffix != ".pyc"]
    head = {"study": plan.study, "settings": plan.settings.model_dump(mode="json"), "cells": plan.cells}
    digests = [[path.as_posix(), sha256(PACKAGE / path)] for path in code]
    folder = PLANS / f"{plan.study}-{hash8([head, dict(plan.specs), digests])}"
    try:
        if not (folder / "plan.json").exists():
            PLANS.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=PLANS, prefix=".plan.") as temporary:
                _write(Path(temporary) / "plan", head, plan.specs, code)
                shutil.rmtree(folder, ignore_errors=True)  # one that was left half written
                Path(temporary, "plan").rename(folder)
        os.utime(folder)  # the newest plan of a study is the one that was started last
    except OSError as error:
        raise not_written(folder, error) from error
    return folder.resolve()


def _write(folder: Path, head: dict[str, Any], specs: Mapping[str, Spec], code: list[Path]) -> None:
    for path in code:
        target = folder / "code" / PACKAGE.name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / path, target)
    (folder / "specs").mkdir()
    for name, spec in specs.items():
        (folder / "specs" / f"{name}.json").write_text(spec_text(spec), encoding="utf-8")
    write_json(folder / "plan.json", head)


def use_frozen(folder: Path) -> None:
    """Let the jobs that this process starts, or submits, use the plan and the code in a folder."""
    os.environ[PLAN_FOLDER] = str(folder)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [f"{folder}/code", os.environ.get("PYTHONPATH")]))


def thaw(folder: Path) -> Plan:
    """The plan that `freeze` wrote.

    Raises:
        UserError: it is missing or damaged.
    """
    head: dict[str, Any] = read_json(folder / "plan.json")
    return Plan(head["study"], Study.model_validate(head["settings"]), SpecFiles(folder / "specs"), head["cells"])


def plan_of(study: str | None) -> Plan:
    """The plan of a study as it was last started here, or as it would be.

    Args:
        study: name or path of a study, or None for the one in config/config.yaml.

    Raises:
        UserError: it was never started, and cannot be planned.
    """
    study = chosen_study(study)
    name = Path(study).stem if study.endswith((".yaml", ".yml")) else study
    started = _plans().get(name)
    return thaw(started[-1]) if started else make_plan(study)


def superseded_plans() -> list[Path]:
    """The folders of plans that are not the last started of their study."""
    return sorted(folder for folders in _plans().values() for folder in folders[:-1])


def _plans() -> dict[str, list[Path]]:
    """The folders of plans by study, the last started one last."""
    plans: dict[str, list[Path]] = defaultdict(list)
    for folder in sorted(
        (path.parent for path in PLANS.glob("*/plan.json")), key=lambda folder: folder.stat().st_mtime
    ):
        plans[folder.name.rpartition("-")[0]].append(folder)
    return plans
