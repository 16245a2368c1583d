"""The plan and the code of one invocation, as files that its jobs use.

A cluster job parses the Snakefile when it starts, hours after it was planned. If it read the config then, an edit would
change what it does, or keep it from starting. So the submitting Snakemake writes its plan, the text of every spec and a
copy of this package to one folder, and its jobs use them: config and code may be edited at any time. The specs lie in
results/specs/ too, where the commands in the logs of jobs name them; a rule that wrote them would be a job for each.
"""

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from crossover import PLAN_FOLDER
from crossover.config.load import RequestedStudy, chosen_study
from crossover.config.studies import Study
from crossover.files import not_written, read_json, sha256, visible_files, write_json
from crossover.planning.plan import Plan, make_plan
from crossover.specs.base import Record
from crossover.specs.identity import PACKAGE, hash8
from crossover.specs.load import AnySpec, read_spec
from crossover.specs.studies import StudySpec

PLANS = Path("results/plans")
SPECS = Path("results/specs")


class PlanHead(Record):
    """plan.json: the study as configured, and the name of its spec."""

    settings: Study
    study: str


class SpecFiles(Mapping[str, AnySpec]):
    """The specs of a plan by their names, each read once it is asked for: a job needs few of thousands."""

    def __init__(self, folder: Path, study: str) -> None:
        self._folder, self._study = folder, study
        self._read: dict[str, AnySpec] = {}

    def __getitem__(self, name: str) -> AnySpec:
        if name not in self._read:
            path = self._folder / f"{name}.json"
            if name == self._study or not path.is_file():
                raise KeyError(name)
            self._read[name] = read_spec(path)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self._folder.glob("*.json")) if path.stem != self._study)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def write_snapshot(plan: Plan) -> Path:
    """Write a plan and the code to results/plans/<study>-<hash8>/, and the specs to results/specs/, unless they are there.

    Returns:
        The absolute path of the folder: plan.json, specs/<name>.json, code/crossover/.

    Raises:
        UserError: one of the folders cannot be written.
    """
    code = [path for path in visible_files(PACKAGE) if path.suffix != ".pyc"]
    head = PlanHead(settings=plan.settings, study=plan.study.name)
    texts = {plan.study.name: plan.study.text} | {name: spec.text for name, spec in plan.specs.items()}
    digests = [[path.as_posix(), sha256(PACKAGE / path)] for path in code]
    folder = PLANS / f"{plan.name}-{hash8([head.content(), texts, digests])}"
    try:
        if not (folder / "plan.json").exists():
            PLANS.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=PLANS, prefix=".plan.") as temporary:
                _write(Path(temporary) / "plan", head, texts, code)
                shutil.rmtree(folder, ignore_errors=True)  # one that was left half written
                Path(temporary, "plan").rename(folder)
        os.utime(folder)  # the newest plan of a study is the one that was started last
    except OSError as error:
        raise not_written(folder, error) from error
    _write_specs(texts)
    return folder.resolve()


def _write_specs(texts: Mapping[str, str]) -> None:
    """Write the specs that are not there as they were planned; not flushed to the disk one by one, since each run tells damage."""
    try:
        SPECS.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            path = SPECS / f"{name}.json"
            if not path.exists() or path.read_bytes() != text.encode():
                part = path.with_suffix(".part")
                part.write_text(text, encoding="utf-8")
                part.replace(path)
    except OSError as error:
        raise not_written(SPECS, error) from error


def _write(folder: Path, head: PlanHead, texts: Mapping[str, str], code: list[Path]) -> None:
    for path in code:
        target = folder / "code" / PACKAGE.name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / path, target)
    (folder / "specs").mkdir()
    for name, text in texts.items():
        (folder / "specs" / f"{name}.json").write_text(text, encoding="utf-8")
    write_json(folder / "plan.json", head.content())


def activate_snapshot(folder: Path) -> None:
    """Let the jobs that this process starts, or submits, use the plan and the code in a folder."""
    os.environ[PLAN_FOLDER] = str(folder)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [f"{folder}/code", os.environ.get("PYTHONPATH")]))


def read_snapshot(folder: Path) -> Plan:
    """Read the plan that `write_snapshot` wrote.

    Raises:
        UserError: it is missing or damaged.
    """
    path = folder / "plan.json"
    head = PlanHead.parse(read_json(path), path)
    specs = folder / "specs"
    return Plan(head.settings, StudySpec.load(specs / f"{head.study}.json"), SpecFiles(specs, head.study))


def plan_of(study: str | None) -> Plan:
    """Return the plan of a study as it was last started here, or as it would be.

    Args:
        study: name or path of a study, or None for the one in config/config.yaml.

    Raises:
        UserError: it was never started, and cannot be planned.
    """
    study = chosen_study(study)
    started = _plans().get(RequestedStudy.parse(study).name)
    return read_snapshot(started[-1]) if started else make_plan(study)


def superseded_plans() -> list[Path]:
    """Return the folders of plans that are not the last started of their study."""
    return sorted(folder for folders in _plans().values() for folder in folders[:-1])


def _plans() -> dict[str, list[Path]]:
    """Return the folders of plans by study, the last started one last."""
    plans: dict[str, list[Path]] = defaultdict(list)
    for folder in sorted(
        (path.parent for path in PLANS.glob("*/plan.json")), key=lambda folder: folder.stat().st_mtime
    ):
        plans[folder.name.rpartition("-")[0]].append(folder)
    return plans
