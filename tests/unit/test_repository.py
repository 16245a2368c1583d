"""What is generated is current, what is pinned is pinned once, and set-up fails in words."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from crossover import __version__
from crossover.config.reference import generated_files

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "envs/requirements.lock").read_text(encoding="utf-8").splitlines()[1:]


@pytest.mark.parametrize("path", generated_files(), ids=str)
def test_generated_config_files_are_what_the_model_says(path):
    assert (ROOT / path).read_text(encoding="utf-8") == generated_files()[path]


def test_every_requirement_is_pinned_in_the_lock():
    pinned = {line.split("==")[0] for line in LOCK}
    lines = (ROOT / "envs/requirements.in").read_text(encoding="utf-8").splitlines()
    wanted = {canonicalize_name(Requirement(line).name) for line in lines if line and not line.startswith("#")}
    assert wanted <= pinned
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][^+]*", line) for line in LOCK), "exact releases, without local labels"


def test_the_package_depends_on_what_the_lock_pins():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ranges = {canonicalize_name(Requirement(text).name): Requirement(text) for text in project["dependencies"]}
    lines, _, _ = (ROOT / "envs/requirements.in").read_text(encoding="utf-8").partition("# [develop]")
    wanted = {canonicalize_name(Requirement(line).name) for line in lines.splitlines() if line and line[0] != "#"}
    assert set(ranges) == wanted
    pinned = dict(line.split("==") for line in LOCK)
    assert [name for name, range_ in ranges.items() if pinned[name] not in range_.specifier] == []


def test_the_citation_names_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__


@pytest.mark.parametrize("kind", ["data", "train", "report"])
def test_conda_files_take_their_pins_from_the_lock(kind):
    content = yaml.safe_load((ROOT / f"envs/{kind}.yaml").read_text(encoding="utf-8"))
    *conda, pip = content["dependencies"]
    assert [package.split("=")[0] for package in conda] == ["python", "pip"]
    assert pip["pip"]
    assert set(pip["pip"]) <= set(LOCK)


def test_every_rule_names_an_environment_that_exists():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for name in re.findall(r'"\.\./\.\./envs/([^"]+)"', path.read_text(encoding="utf-8")):
            assert (ROOT / "envs" / name).is_file()


def test_an_old_python_ends_set_up_in_one_sentence(tmp_path):
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "envs").mkdir()
    shutil.copy(ROOT / "envs/requirements.lock", tmp_path / "envs")
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && { echo "Python 3.9.18"; exit 0; }\nexit 1\n', encoding="utf-8")
    old.chmod(0o755)
    run = subprocess.run(
        ["make", "--no-print-directory", "demo", f"PYTHON={old}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    message = run.stderr.splitlines()[0]
    assert message == (
        f"crossover needs Python 3.11 or later, but {old} is Python 3.9.18; run: make PYTHON=python3.11 demo"
    )
    assert not (tmp_path / ".venv").exists()
