"""One byte of a file changes after it was made: what would use the file says so in a sentence, and makes nothing."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossover import cli
from crossover.baselines.stage import fit_baselines
from crossover.encodings.tokenize import tokenize_task
from crossover.errors import UserError
from crossover.planning.plan import Plan, make_plan
from crossover.report.render import render_report
from crossover.runs.files import BASELINE_RESULTS, baseline_folder
from crossover.specs.studies import StudySpec
from crossover.statistics.aggregate import aggregate_study
from crossover.tasks.prepare.stage import prepare_task
from crossover.training.finetune import finetune_run

CPU = torch.device("cpu")
TABLES = ("--until", "aggregate_study")
CELL = "tunes.tiny.pretrained-frozen"
RUN_FILES = ("metrics.json", "curve.parquet", "predictions.parquet", "provenance.json")


@dataclass(frozen=True)
class Stage:
    """A stage of the finished tiny study: what it reads, and how it is run into a folder."""

    reads: list[Path]
    run: Callable[[Path], object]


@pytest.fixture(scope="module")
def plan(_finished, tmp_path_factory) -> Plan:
    """The plan of a finished study, whose folder is the working directory."""
    copy = _finished.copy(tmp_path_factory.mktemp("damaged") / "workflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy.root)
        yield make_plan("tiny.yaml")


def spec_of(plan: Plan, kind: str, stem: str) -> Any:
    """The one spec of that kind whose name begins so."""
    [spec] = [spec for name, spec in plan.specs.items() if spec.kind == kind and name.startswith(stem)]
    return spec


def stages(plan: Plan) -> dict[str, Stage]:
    task, tokens, run = spec_of(plan, "task", "tunes"), spec_of(plan, "tokens", "tunes"), spec_of(plan, "run", CELL)
    study = plan.study
    receipt = Path("resources/downloads") / task.dataset / "dataset.json"
    prepared, encoded = Path("results/tasks") / task.name, Path("results/tokens") / tokens.name
    checkpoint = Path(run.checkpoint.folder)
    runs = [Path("results/runs") / name / f"seed-{seed}" for name, seed in study.runs]
    baseline = spec_of(plan, "baseline", "tunes")
    fitted = baseline_folder(baseline.name, 0)
    parts = ["values.npy", "offsets.npy", "targets.npy", "items.parquet"]
    token_files = [encoded / f"{split}.{part}" for split in ("train", "validation", "test") for part in parts]
    weights = [checkpoint / name for name in ("config.json", "model.safetensors", "tokenizer.json", "checkpoint.json")]
    cards = [Path(path) for one in study.tasks.values() for path in (one.card, *one.encodings.values())]
    seen = [checkpoint / "checkpoint.json", checkpoint / "curve.parquet", checkpoint / "provenance.json"]
    return {
        "prepare": Stage(
            [receipt, *Path("data/tunes").rglob("*.mid")], lambda out: prepare_task(task, receipt, out)
        ),
        "tokenize": Stage(
            [prepared / name for name in ("card.json", "train.parquet", "validation.parquet", "test.parquet")],
            lambda out: tokenize_task(tokens, prepared, out),
        ),
        "finetune": Stage(
            [encoded / "encoding.json", *token_files, *weights],
            lambda out: finetune_run(run, 0, out, CPU, 1e9, "test"),
        ),
        "baseline": Stage([encoded / "encoding.json", *token_files], lambda out: fit_baselines(baseline, 0, out, "test")),
        "aggregate": Stage(
            [
                *(folder / name for folder in runs for name in RUN_FILES),
                *(fitted / name for name in (*BASELINE_RESULTS, "provenance.json")),
                checkpoint / "provenance.json",
            ],
            lambda out: aggregate_study(study, out),
        ),
        "render": Stage(
            [*cards, *seen, *(folder / "provenance.json" for folder in (*runs, fitted))], lambda out: render(study, out)
        ),
    }  # fmt: skip


def render(study: StudySpec, out: Path) -> None:
    """Render from the tables as they are; what was copied does not count as made."""
    render_report(study, shutil.copytree("results/studies/tiny", out.with_name("tables"), dirs_exist_ok=True))


STAGES = ("prepare", "tokenize", "finetune", "baseline", "aggregate", "render")


@pytest.mark.parametrize("name", STAGES)
def test_undamaged_files_are_used(plan, name, tmp_path):
    stages(plan)[name].run(tmp_path / "out")


@pytest.mark.parametrize("name", STAGES)
def test_a_changed_byte_is_noticed_before_the_file_is_used(plan, name, tmp_path):
    stage = stages(plan)[name]
    for path in stage.reads:
        refused_with_any_other_byte(stage, path, tmp_path)


def refused_with_any_other_byte(stage: Stage, path: Path, folder: Path) -> None:
    content = path.read_bytes()

    @given(at=st.integers(0, len(content) - 1), change=st.integers(1, 255))
    @settings(max_examples=3, database=None, suppress_health_check=list(HealthCheck))
    def refused(at, change):
        path.write_bytes(content[:at] + bytes([content[at] ^ change]) + content[at + 1 :])
        with pytest.raises(UserError) as caught:
            stage.run(folder / "out")
        assert re.fullmatch(r"[^\n]+\.", str(caught.value))
        assert str(path.parent) in str(caught.value) or path.name in str(caught.value)
        assert not [made for made in folder.joinpath("out").rglob("*") if made.is_file()]

    try:
        refused()
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("stage", ["aggregate-study", "render-report"])
def test_a_changed_spec_of_the_study_is_noticed(plan, stage, tmp_path, capsys):
    """Its name has no hash, so that it carries its own."""
    spec = tmp_path / "study-tiny.json"
    text = Path("results/specs/study-tiny.json").read_text()
    spec.write_text(text.replace('"confidence": 0.95', '"confidence": 0.85'))
    assert spec.read_text() != text
    assert cli.main([stage, "--spec", str(spec), "--output", str(tmp_path / "out")]) == 1
    assert f"crossover: {spec} is not as it was written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_damaged_result_is_computed_again(finished):
    """The sentence says what to do, and that helps."""
    folder = finished.run_folder(CELL, 1)
    before = (folder / "metrics.json").read_bytes()
    (folder / "metrics.json").write_bytes(before.replace(b'"steps": 4', b'"steps": 3'))
    done = finished.run(*TABLES)
    assert done.returncode != 0
    assert f"{folder.relative_to(finished.root)}/metrics.json is not the file that the run wrote; delete" in done.stdout
    shutil.rmtree(folder)
    finished.finish(*TABLES)
    assert (folder / "metrics.json").read_bytes() == before
