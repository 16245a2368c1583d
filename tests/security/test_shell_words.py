"""No name, label or path of the config reaches a shell as anything but one word."""

import contextlib
import json
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile import CANARY, NAME, canaries, write_study, write_yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crossover.config.base import NAME as PATTERN
from crossover.config.base import Name
from crossover.config.conditions import Condition
from crossover.config.datasets import Music21Dataset
from crossover.config.load import load_study, parse
from crossover.config.studies import Study
from crossover.errors import UserError
from crossover.planning.plan import make_plan
from crossover.planning.snapshot import write_snapshot
from workflow_copy import ROOT, STUDY, TASKS, WorkflowCopy, fresh_copy

RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
SHELL = re.compile(r"^    shell:\n((?: {8}.*\n)+)", flags=re.MULTILINE)
PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")
NUMBERS = {"threads", "resources.cuda"}  # from fields of the config that take nothing but numbers
FRAGMENTS = [
    "$(touch CANARY)",
    "`touch CANARY`",
    "'",
    '"',
    "\\",
    ";",
    "&",
    "|",
    "\n",
    " ",
    "-",
    "{wildcards}",
    "}",
    "~",
]


def names() -> st.SearchStrategy[str]:
    """Names that a visible file may have: characters of every kind, and pieces of shell."""
    plain = st.characters(exclude_categories=["Cs"], exclude_characters="/\0")
    text = st.lists(st.one_of(plain, st.sampled_from(FRAGMENTS)), min_size=1, max_size=40).map("".join)
    return text.filter(lambda name: not name.startswith(".") and len(name.encode()) < 240)


# --- the rules ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_rules_quote_everything_but_numbers(file):
    text = file.read_text()
    commands = SHELL.findall(text)
    assert len(commands) == len(re.findall(r"^\s*shell:", text, flags=re.MULTILINE)), "a command was not understood"
    bare = {name for command in commands for name in PLACEHOLDER.findall(command) if not name.endswith(":q")}
    assert bare <= NUMBERS
    assert not re.search(r"^\s*(run|script|wrapper|notebook|cwl):", text, flags=re.MULTILINE)


# --- the commands that Snakemake makes of them --------------------------------------------------------------


@pytest.fixture(scope="module")
def workflow(tmp_path_factory) -> WorkflowCopy:
    return fresh_copy(tmp_path_factory.mktemp("words") / "workflow")


@pytest.fixture(scope="module")
def harmless(workflow) -> Counter[str]:
    """The commands of a study in which nothing has a strange name."""
    write_study(workflow, "tiny.yaml", "harmless")
    status, output = workflow.try_plan("--config", "study=tiny.yaml")
    assert status == 0, output
    return commands(workflow)


def planned_specs(copy: WorkflowCopy) -> dict[str, Any]:
    """The specs of the last plan."""
    return json.loads((copy.root / ".planned.jsonl.specs").read_text())


def commands(copy: WorkflowCopy) -> Counter[str]:
    """The commands of the last plan, without hashes."""
    jobs = [json.loads(line) for line in (copy.root / ".planned.jsonl").read_text().splitlines()]
    words = [shlex.split(job["command"]) for job in jobs if job["command"]]
    return Counter(re.sub(r"-[0-9a-f]{8}\b", "-HASH", shlex.join(line)) for line in words)


@given(names())
@example(NAME)
@example("x" * 239)
@settings(max_examples=4)
def test_strange_names_change_no_word_of_any_command(workflow, harmless, name):
    """Titles, texts, folders of data and weights, classes and pieces: only hashes depend on them."""
    write_study(workflow, "tiny.yaml", name)
    status, output = workflow.try_plan("--config", "study=tiny.yaml")
    assert status == 0, output
    assert commands(workflow) == harmless
    assert canaries(workflow.root.parent) == []


@given(names())
@example(NAME)
@settings(max_examples=4)
def test_the_path_of_a_study_is_one_word(workflow, harmless, name):
    """Snakemake reads the path as YAML, so that some cannot be used; the report tells how to ask for the others."""
    study = f"{name}/tiny.yaml"
    write_study(workflow, study, "harmless")
    status, output = workflow.try_plan("--config", f"study={study}")
    assert "Traceback" not in output, output
    assert canaries(workflow.root.parent) == []
    if status == 0:
        assert commands(workflow) == harmless
        reproduce = planned_specs(workflow)["study-tiny"]["reproduce"]
        assert shlex.split(reproduce) == ["snakemake", "--config", f"study={study}"]


@pytest.mark.parametrize("name", ["{run}", "<results>"])
def test_a_folder_of_weights_with_a_pattern_of_snakemake_in_its_name_is_refused(fresh, name):
    write_study(fresh, "tiny.yaml", "harmless")
    (fresh.root / "harmless.model").rename(fresh.root / name)
    fresh.edit("config/checkpoints/own.yaml", "harmless.model", f'"{name}"')
    status, output = fresh.try_plan("--config", "study=tiny.yaml")
    assert status != 0
    assert "treats as wildcards" in output
    assert "Traceback" not in output


def test_targets_with_strange_names_are_unknown(workflow):
    target = f"results/runs/a$(touch {CANARY}).b.c-00000000/seed-1/metrics.json"
    status, output = workflow.try_plan(target, "--config", "study=tiny.yaml")
    assert status != 0
    assert "MissingRuleException" in output
    assert canaries(workflow.root) == []


def test_a_large_study_is_written_to_its_spec(fresh, monkeypatch):
    """It has many cells, and many characters of four bytes in one description."""
    for number in range(150):
        description = "" if number else "𝄞" * 55_000
        task = yaml.safe_load(TASKS["tiny-xor"]) | {"description": description}
        write_yaml(fresh.root / f"config/tasks/xor-{number}.yaml", task)
    write_yaml(fresh.study, yaml.safe_load(STUDY) | {"tasks": [f"xor-{number}" for number in range(150)]})
    monkeypatch.chdir(fresh.root)
    write_snapshot(make_plan("tiny.yaml"))
    assert (fresh.root / "results/specs/study-tiny.json").stat().st_size > 300_000


# --- names --------------------------------------------------------------------------------------------------

STRANGERS = st.one_of(st.text(), names(), st.from_regex(PATTERN), st.just("demo\n"), st.just("a" * 61))


@given(STRANGERS.filter(lambda name: not re.fullmatch(PATTERN, name)))
def test_names_are_letters_digits_and_dashes(name):
    """Of tasks, checkpoints, conditions, datasets and classes: whatever else is refused in one sentence."""
    study = yaml.safe_load(STUDY)
    dataset = {"kind": "music21", "name": "scores", "classes": {"a": "bach", "b": "chopin"}, "pieces": 1}
    condition = {"title": "x", "body": "random", "trained": "all"}
    refused = [
        (Study, study | {"tasks": [name]}),
        (Study, study | {"checkpoints": [name]}),
        (Study, study | {"conditions": [name]}),
        (dict[Name, Condition], {name: condition}),
        (Music21Dataset, dataset | {"name": name}),
        (Music21Dataset, dataset | {"classes": {"a": "bach", name: "bach"}}),
    ]
    for shape, value in refused:
        with pytest.raises(UserError, match=r"should match pattern|valid string|valid unicode"):
            parse(shape, value, "here")


@given(STRANGERS.filter(lambda name: not re.fullmatch(PATTERN, name)))
@example("../demo")
@example("/etc/passwd")
def test_the_names_of_studies_too(name):
    """By name, and by path, where the name of the file counts."""
    with pytest.raises(UserError, match=r"unknown study|also names a folder"):
        load_study(name)
    stem = re.sub(r"[/\0]", "_", name)
    if not re.fullmatch(PATTERN, stem) and Path(f"{stem}.yaml").stem == stem:
        with pytest.raises(UserError, match="also names a folder"):
            load_study(f"results/{stem}.yaml")


@pytest.mark.parametrize("folder", ["..", "../../site-packages", "/etc", "bach/../..", "", ".hidden"])
def test_a_class_of_scores_is_a_folder_of_the_corpus(folder):
    dataset = {"kind": "music21", "name": "scores", "classes": {"a": folder, "b": "bach"}, "pieces": 1}
    with pytest.raises(UserError, match=r"classes\.a: string should match pattern"):
        parse(Music21Dataset, dataset, "here")


@pytest.mark.parametrize("name", ["My Study", f"$(touch {CANARY})", "demo\n", "a" * 61])
def test_a_file_in_the_folder_of_studies_may_have_a_name_that_cannot_be_used(fresh, name):
    fresh.study.rename(fresh.root / "config" / "studies" / f"{name}.yaml")
    with contextlib.chdir(fresh.root), pytest.raises(UserError, match="also names a folder"):
        load_study(name)


def test_a_file_whose_name_is_no_text_is_named(fresh):
    """No JSON or Parquet file could hold its name."""
    tune = fresh.root / "data" / "tunes" / "low" / "0.mid"
    tune.rename(tune.with_name("caf\udce9.mid"))  # in Latin-1
    status, output = fresh.try_plan("--config", "study=tiny.yaml")
    assert status != 0
    assert "data/tunes: the name of 'low/caf\\udce9.mid' is not UTF-8; rename it." in output
    assert "Traceback" not in output
