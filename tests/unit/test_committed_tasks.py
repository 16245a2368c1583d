"""The tasks of config/tasks/ as a newcomer would read them."""

import pytest
from committed_tasks import TASKS
from pydantic import TypeAdapter

from crossover.config.load import parse, read_yaml
from crossover.config.readers import Reader
from crossover.config.tasks import Policy, Split, Task
from crossover.errors import UserError
from crossover.specs.identity import code_digests
from crossover.tasks.registry import READERS

NAMES = sorted(path.stem for path in TASKS.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_task_says_all_that_a_newcomer_asks(name):
    task = read_yaml(TASKS / f"{name}.yaml")
    reader = TypeAdapter(Reader).validate_python(task["reader"])
    assert all(task[key] for key in ("title", "description", "licence", "citation"))
    Policy(**task.get("policy", {}))
    if "dataset" in task:
        split = Split(**task["split"])
        assert getattr(reader, "defines_splits", False) == (split.by == "given")
    else:
        assert reader.sizes


def test_what_is_damaged_or_simulated_is_named_so():
    for name in NAMES:
        task = read_yaml(TASKS / f"{name}.yaml")
        assert ("damaged" in task["title"]) == (task["reader"].get("damaged") == "lu2021")
        assert ("simulated" in task["description"].lower()) == task.get("simulated", False)


def test_a_new_reader_recomputes_no_task():
    for module in READERS.values():
        assert "crossover.tasks.registry" not in code_digests("crossover.tasks.prepare.stage", module)
    others = {
        name for name in code_digests("crossover.tasks.prepare.stage", READERS["fasta"]) if name in READERS.values()
    }
    assert others == {READERS["fasta"]}


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        (
            {"kind": "table", "columns": {"sequence": "a", "target": "b"}},
            "set either file, or files with one file per split",
        ),
        (
            {"kind": "table", "file": "t.csv", "header": False, "columns": {"sequence": "a", "target": 1}},
            "columns.sequence must be a number, since there is no header",
        ),
        ({"kind": "fasta", "file": "f", "label": "x("}, "is not a regular expression"),
        (
            {"kind": "fasta", "file": "f", "label": "x"},
            "must have exactly one group in parentheses, which captures the value, but has 0",
        ),
    ],
)
def test_a_reader_that_cannot_work_is_refused(reader, expected):
    with pytest.raises(UserError, match=expected.replace("(", r"\(")):
        parse(Reader, reader, "config/tasks/t.yaml")


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"by": "given", "test": 0.1}, "test has no effect with by: given; remove it"),
        ({"by": "item", "identity": 0.9}, "identity has no effect with by: item"),
        ({"by": "similarity", "validation": 0.6, "test": 0.5}, "together must be less than 1"),
    ],
)
def test_a_split_that_cannot_work_is_refused(split, expected):
    with pytest.raises(UserError, match=expected):
        parse(Split, split, "config/tasks/t.yaml")


OWN = {
    "title": "Mine",
    "domain": "dna",
    "licence": "mine",
    "citation": "me",
    "dataset": {"kind": "folder", "name": "mine", "path": "data"},
    "reader": {"kind": "table", "file": "t.csv", "columns": {"sequence": "a", "target": "b"}},
    "split": {"by": "similarity"},
    "target": {"kind": "class"},
    "encoding": {"kind": "symbols", "alphabet": "dna", "max_length": 9},
}
FILES = {"train": "a.csv", "test": "b.csv"}
XOR = {"kind": "bit-xor", "bits": 3, "sizes": {"train": 4, "validation": 4, "test": 4}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"split": {"by": "given"}},
            "reader table defines no splits; choose another split.by, or give the reader files",
        ),
        (
            {"reader": OWN["reader"] | {"file": None, "files": FILES}},
            "the data of reader table define the splits; set split.by",
        ),
        ({"reader": XOR, "dataset": None, "split": None, "policy": {}}, "remove dataset, split and policy"),
        ({"policy": {"unknown": "ignore"}}, "policy.unknown: input should be 'map', 'drop' or 'error', not 'ignore'"),
    ],
)
def test_parts_of_a_task_that_contradict_each_other_are_refused(changes, expected):
    assert parse(Task, OWN, "config/tasks/t.yaml")
    with pytest.raises(UserError, match=expected):
        parse(Task, OWN | changes, "config/tasks/t.yaml")
