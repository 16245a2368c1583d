"""Bad input ends in one clear sentence; nothing half-made is left that a later run would trust."""

import json
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossover import cli
from crossover.acquire.dataset import acquire_dataset
from crossover.errors import UserError
from crossover.planning.plan import make_plan
from crossover.tasks.prepare.stage import prepare_task
from workflow_copy import write_tune

XOR = "tiny-xor.tiny.random-all"


def sentence(output: str, words: str) -> str:
    """The one line of the output that has these words, without a traceback around it."""
    lines = [line.strip() for line in output.splitlines() if words in line]
    assert lines, f"{words!r} is nowhere in:\n{output}"
    assert "Traceback" not in output, output
    # The command says it, its log repeats it, and the summary at the end counts it.
    assert len({re.split(r" ERROR |crossover: |\d failed: ", line)[-1] for line in lines}) == 1, lines
    return lines[0]


def files(copy) -> set[str]:
    """Everything under results/ and resources/ that a later run could trust; temporary files would be seen too."""
    folders = (copy.root / "results", copy.root / "resources" / "downloads")
    made = {str(path.relative_to(copy.root)) for folder in folders for path in folder.rglob("*") if path.is_file()}
    return {path for path in made if "benchmarks" not in path and not path.endswith(("/.lock", ".digests.json"))}


# --- the config ---------------------------------------------------------------------------------------------

CONFIG = {
    "unknown task": (
        lambda copy: copy.edit("tiny.yaml", "[tiny-xor, tunes]", "[tiny-xr, tunes]"),
        "study tiny: unknown task tiny-xr; did you mean tiny-xor?",
    ),
    "unknown condition": (
        lambda copy: copy.edit("tiny.yaml", "random-all]", "randomall]"),
        "study tiny: unknown condition randomall; did you mean random-all?",
    ),
    "unknown checkpoint": (
        lambda copy: copy.edit("tiny.yaml", "checkpoints: [tiny]", "checkpoints: [tinny]"),
        "study tiny: unknown checkpoint tinny; did you mean tiny?",
    ),
    "broken YAML of a study": (
        lambda copy: copy.edit("tiny.yaml", "tasks: [tiny-xor, tunes]", "tasks: [tiny-xor, tunes"),
        "tiny.yaml, line 5 is not valid YAML",
    ),
    "broken YAML of a task": (
        lambda copy: copy.edit("config/tasks/tunes.yaml", "split:\n", "split\n"),
        "config/tasks/tunes.yaml, line ",
    ),
    "a study that is not text": (lambda copy: copy.study.write_bytes(b"\xff\xfe\x00"), "tiny.yaml is not YAML text"),
    "an empty study": (lambda copy: copy.study.write_text(""), "tiny.yaml: "),
    "an unknown key": (
        lambda copy: copy.append("tiny.yaml", "seed: 1\n"),
        "tiny.yaml: unknown key seed; did you mean seeds?",
    ),
    "an unknown key further in": (
        lambda copy: copy.edit("tiny.yaml", "length: 4 steps", "lenght: 4 steps"),
        "tiny.yaml: unknown key lenght in training; did you mean length?",
    ),
    "a key twice": (lambda copy: copy.append("tiny.yaml", "title: again\n"), "the key 'title' appears twice"),
    "a word for a number": (
        lambda copy: copy.edit("tiny.yaml", "length: 4 steps", "length: four"),
        "tiny.yaml: training.length: write a number and its unit, such as 2000 steps or 20 epochs",
    ),
    "sequences longer than the positions": (
        lambda copy: copy.edit("config/tasks/tunes.yaml", "max_length: 8", "max_length: 17"),
        "config/tasks/tunes.yaml: max_length of the encoding is 17, but checkpoint tiny has only 16 positions",
    ),
    "no raw files": (
        lambda copy: shutil.rmtree(copy.root / "data/tunes"),
        "data/tunes is not a folder with files in it",
    ),
    "an empty folder of raw files": (
        lambda copy: (shutil.rmtree(copy.root / "data/tunes"), (copy.root / "data/tunes").mkdir()),
        "data/tunes is not a folder with files in it",
    ),
}


@pytest.mark.parametrize(("edit", "words"), CONFIG.values(), ids=CONFIG.keys())
def test_a_wrong_config_is_refused_by_the_name_of_its_file(fresh, monkeypatch, edit, words):
    """Before anything is planned, and with the nearest known name."""
    monkeypatch.chdir(fresh.root)
    edit(fresh)
    with pytest.raises(UserError) as caught:
        make_plan("tiny.yaml")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(fresh) == set()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("study=tiny.yaml", "study tiny: unknown task tiny-xr; did you mean tiny-xor?"),
        ("study=dmeo", "unknown study dmeo; did you mean demo?"),
        ("stdy=demo", "unknown key stdy; did you mean study?"),
    ],
)
def test_snakemake_says_what_is_wrong_without_a_traceback(fresh, setting, words):
    fresh.edit("tiny.yaml", "[tiny-xor, tunes]", "[tiny-xr, tunes]")
    status, output = fresh.try_plan("--config", setting)
    assert status != 0
    sentence(output, words)
    assert files(fresh) == set()


# --- raw files ----------------------------------------------------------------------------------------------


def text_for_midi(copy):
    copy.edit("config/tasks/tunes.yaml", "segment: 8", "segment: 8\n  damaged: refuse")
    (copy.root / "data/tunes/low/0.mid").write_text("not music")


def cut_midi(copy):
    copy.edit("config/tasks/tunes.yaml", "segment: 8", "segment: 8\n  damaged: refuse")
    file = copy.root / "data/tunes/low/0.mid"
    file.write_bytes(file.read_bytes()[:40])


def class_without_music(copy):
    shutil.rmtree(copy.root / "data/tunes/low")
    write_tune(copy.root / "data/tunes/low/short.mid", 40, 0, notes=3)


def file_beside_classes(copy):
    write_tune(copy.root / "data/tunes/stray.mid", 40, 0)


def one_class(copy):
    shutil.rmtree(copy.root / "data/tunes/low")


def empty_class(copy):
    (copy.root / "data/tunes/empty").mkdir()


RAW = {
    "text": (text_for_midi, "data/tunes/low/0.mid is not a complete MIDI file"),
    "cut": (cut_midi, "data/tunes/low/0.mid is not a complete MIDI file"),
    "class without music": (class_without_music, "class 'low' has no usable piece"),
    "empty class": (empty_class, "class 'empty' has no usable piece"),
    "file beside the classes": (file_beside_classes, "data/tunes/stray.mid is not in a class folder"),
    "one class": (one_class, "all items have the class 'high'"),
}


@pytest.mark.parametrize(("edit", "words"), RAW.values(), ids=RAW.keys())
def test_the_stage_that_reads_raw_files_says_which_one_is_wrong(fresh, monkeypatch, edit, words):
    monkeypatch.chdir(fresh.root)
    edit(fresh)
    specs = make_plan("tiny.yaml").specs
    [task] = [spec for spec in specs.values() if spec.kind == "task" and spec.task == "tunes"]
    downloads = Path("resources/downloads") / task.dataset
    acquire_dataset(specs[task.dataset], downloads)
    with pytest.raises(UserError) as caught:
        prepare_task(task, downloads / "dataset.json", Path("results/tasks") / task.name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not [path for path in files(fresh) if path.startswith("results/")]


def test_a_workflow_goes_on_when_its_raw_files_are_put_right(fresh):
    text_for_midi(fresh)
    file = fresh.root / "data/tunes/low/0.mid"
    card = f"results/tasks/{fresh.named('tunes', 'task')}/card.json"
    done = fresh.run(card)
    assert done.returncode != 0
    sentence(done.stdout, "data/tunes/low/0.mid is not a complete MIDI file")
    assert not [path for path in files(fresh) if path.startswith("results/tasks/")]
    file.unlink()
    fresh.finish(f"results/tasks/{fresh.named('tunes', 'task')}/card.json")


# --- what was made is damaged -------------------------------------------------------------------------------


@pytest.fixture
def by_hand(finished, monkeypatch, capfd) -> Callable[[], str]:
    """Compute a run of the finished study again with seed 1, as its rule does; the refusal is returned."""
    folder = finished.run_folder(XOR, 1)
    monkeypatch.chdir(finished.root)
    (folder / "metrics.json").unlink()

    def run() -> str:
        arguments = ["--spec", f"results/specs/{folder.parent.name}.json", "--seed", "1", "--gpus", "0"]
        assert cli.main(["finetune-run", *arguments, "--output", str(folder)]) == 1
        assert not (folder / "metrics.json").exists()
        return capfd.readouterr().err

    return run


def test_tokens_that_changed_after_they_were_made(finished, by_hand):
    """A changed array is not trained on: neither by accident nor by a broken disk."""
    values = finished.root / "results" / "tokens" / finished.named("tiny-xor-patches", "tokens") / "train.values.npy"
    array = np.load(values)
    array[0] = 0.5
    np.save(values, array)
    sentence(by_hand(), "train.values.npy is not the file that")


def test_a_damaged_spec_is_refused(finished, by_hand):
    spec = f"results/specs/{finished.named(XOR)}.json"
    for content in ("", '{"kind": "run"', "\0" * 100):
        (finished.root / spec).write_text(content)
        sentence(by_hand(), f"{spec} is not JSON")


def test_a_spec_edited_by_hand_is_refused_until_it_is_deleted(finished, by_hand):
    """A spec's name holds the hash of its content."""
    spec = f"results/specs/{finished.named(XOR)}.json"
    finished.edit(spec, '"length": "4 steps"', '"length": "6 steps"')
    sentence(by_hand(), f"{spec}: its content no longer matches the hash in its name")
    (finished.root / spec).unlink()
    assert ("finetune_run", f"{XOR}/seed-1") in finished.plan()


# --- the disk is full ---------------------------------------------------------------------------------------


def test_a_full_disk(fresh, require):
    """A real one, of a few pages: what does not fit is not there, and with more space the workflow goes on."""
    fresh = without_bytecode(fresh)
    results = fresh.root / "results"
    results.mkdir()
    require(os.geteuid() == 0 and mount(results, "size=100k"), "no small disk can be mounted: run sudo make test")
    full = "could not be written: No space left on device; free space"
    try:
        sentence(fresh.run("inputs").stdout, full)
        assert files(fresh) == set()
        assert mount(results, "remount,size=64m")
        fresh.finish("--until", "acquire_dataset")
        space = os.statvfs(results)
        used = (space.f_blocks - space.f_bfree) * space.f_frsize
        assert mount(results, f"remount,size={used + 50_000}")
        done = fresh.run("--until", "tokenize_task")
        assert done.returncode != 0
        assert full in done.stdout
        assert "Traceback" not in done.stdout
        made = files(fresh)
        assert all(whole(fresh.root / path) for path in made), made
        assert mount(results, "remount,size=64m")
        fresh.finish("--until", "tokenize_task")
    finally:
        subprocess.run(["umount", "--lazy", results], check=True)


def without_bytecode(copy):
    """A copy whose processes write no bytecode: on a full disk Python 3.11 leaves a .pyc that is cut off, which it then trusts."""
    return replace(copy, environment={**copy.environment, "PYTHONDONTWRITEBYTECODE": "1"})


def mount(folder, options: str) -> bool:
    """Mount a disk in memory; whether that worked."""
    command = ["mount", "-t", "tmpfs", "-o", options, "crossover-test", folder]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def whole(path) -> bool:
    """Whether a file is whole: JSON and Parquet files show it."""
    if path.suffix == ".json":
        json.loads(path.read_text())
    return path.suffix != ".parquet" or path.read_bytes()[-4:] == b"PAR1"


def test_a_file_that_grows_too_large(finished):
    """A quota: writing fails in the middle of a file, and for root too."""
    finished = without_bytecode(finished)
    folder = finished.run_folder(XOR, 1)
    before = (folder / "metrics.json").read_bytes()
    for path in folder.glob("*.*"):
        path.unlink()
    spec = f"results/specs/{folder.parent.name}.json"
    command = ["finetune-run", "--spec", spec, "--seed", "1", "--output", str(folder), "--gpus", "0"]
    limit = (2_000, 2_000)  # bytes; metrics.json would fit
    done = finished.by_hand(*command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert done.returncode == 1
    sentence(done.stdout, "could not be written: File too large; free space")
    assert [path.name for path in folder.iterdir() if path.name not in {".lock", "events.jsonl", "state"}] == []
    assert finished.by_hand(*command).returncode == 0
    assert (folder / "metrics.json").read_bytes() == before
