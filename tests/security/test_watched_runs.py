"""What a whole run does to the machine: nothing hidden in names is run, nothing is written elsewhere, no secret is kept."""

import json
import secrets
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hostile import FORMULA, NAME, canaries, without, write_checkpoint, write_study
from watched import Watched, can_watch, watch

from workflow_copy import WorkflowCopy, fresh_copy

SECRET = secrets.token_hex(16)
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SECRETS = {name: f"{name}-{SECRET}" for name in VARIABLES}


@pytest.fixture(scope="module")
def watchable(require) -> None:
    require(can_watch(), "writes cannot be watched: run sudo make test")


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> WorkflowCopy:
    """A hostile study in a folder with a hostile name; Snakemake alone refuses braces in the path of a Snakefile."""
    copy = fresh_copy(tmp_path_factory.mktemp("hostile") / without("{}", NAME))
    write_checkpoint(write_study(copy, f"{NAME}/tiny.yaml", NAME))
    return copy


@pytest.fixture(scope="module")
def run(copy, tmp_path_factory, watchable) -> Watched:
    folder = tmp_path_factory.mktemp("watched")
    return watch(copy, folder, "--cores", "2", "--config", f"study={NAME}/tiny.yaml", environment=SECRETS)


def inside(run: Watched, copy: WorkflowCopy) -> Path:
    """The working folder as the run left it."""
    return run.written / copy.root.relative_to("/")


def test_hostile_names_are_names_and_nothing_else(run, copy):
    """From the config to the report; each class is one of the two that the folders name."""
    assert run.status == 0, run.output
    made = inside(run, copy) / "results"
    assert (made / "studies/tiny/report.html").is_file()
    [card] = made.glob("tasks/*/card.json")
    assert set(json.loads(card.read_text())["classes"]["test"]) == {NAME, FORMULA}
    assert canaries(run.written) == []


def test_nothing_is_written_outside_the_working_folder(run, copy):
    """Snakemake alone makes folders in the home folder, and leaves nothing in them; the temporary folder is empty."""
    working = copy.root.relative_to("/")
    changed = {path.relative_to(run.written) for path in run.written.rglob("*")}
    outside = {path for path in changed if not path.is_relative_to(working) and path not in working.parents}
    cache = run.home / ".cache" / "snakemake"
    allowed = {run.home, run.temporary, *run.temporary.parents, run.home / ".cache", cache}
    strangers = {path for path in outside - allowed if not path.is_relative_to(cache)}
    assert strangers == set()
    assert not [path for path in outside if (run.written / path).is_file()]
    assert changed > {working / "results", run.temporary}, "the run was not watched"


def test_no_secret_of_the_environment_is_kept_or_shown(run):
    assert keepers(run) == []
    assert any(b"finetune-run" in line for line in run.command_lines), "no process was seen"


def test_no_secret_is_kept_by_a_run_that_fails(tmp_path, watchable):
    """An unforeseen error in a process that has the secrets: its traceback is shown and logged."""
    copy = fresh_copy(tmp_path / "workflow")
    stage = "workflow/crossover/pretraining/pretrain.py"
    copy.edit(stage, "import math\n", "import math\nimport os\n")
    first = "    recorder = Recorder(spec.code, command)\n"
    copy.edit(stage, first, f"    raise RuntimeError(len(os.environ['HF_TOKEN']))\n{first}")
    checkpoint = f"results/checkpoints/{copy.named('tiny', 'checkpoint')}/config.json"
    arguments = ("--cores", "2", checkpoint, "--config", "study=tiny.yaml")
    run = watch(copy, tmp_path / "watched", *arguments, environment=SECRETS)
    assert run.status != 0
    assert f"RuntimeError: {len(SECRETS['HF_TOKEN'])}\n" in run.output
    assert keepers(run) == []


def keepers(run: Watched) -> list[object]:
    """Files, terminals and command lines that hold a secret."""
    files = [path for path in run.written.rglob("*") if path.is_file() and SECRET.encode() in content(path)]
    lines = [line for line in run.command_lines if SECRET.encode() in line]
    return [*files, *lines, *(line for line in run.output.splitlines() if SECRET in line)]


def content(path: Path) -> bytes:
    """A file's bytes, and what they mean where they are compressed."""
    words = str(pq.read_table(path).to_pydict()).encode() if path.suffix == ".parquet" else b""
    return path.read_bytes() + words
