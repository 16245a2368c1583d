"""Fixtures for tests of models and training: a tiny working directory, and a fork server to start runs from."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_runs import ROOT, Tiny, environment, make_tiny, serve_forks, start

from workflow_copy import wait_for


@pytest.fixture(scope="session")
def _tiny(tmp_path_factory) -> Tiny:
    import torch

    torch.set_num_threads(1)  # as in a run: sums in another order are other numbers
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny(_tiny, monkeypatch) -> Tiny:
    """Tokens and checkpoints; the working directory is theirs. Whoever changes a file copies it first."""
    monkeypatch.chdir(_tiny.root)
    return _tiny


@pytest.fixture(scope="session")
def forked(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment of commands that a fork server runs in forks."""
    socket = tmp_path_factory.mktemp("forks") / "socket"
    server = serve_forks(socket)
    variables = environment(CROSSOVER_FORKSERVER=str(socket))
    start("finetune-run", "--help", env=variables, stdout=subprocess.DEVNULL).wait(300)  # when it has its libraries
    yield variables
    server.send_signal(signal.SIGTERM)
    server.wait(30)


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    """A copy of config/, in the working directory."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config"


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait until a condition holds, or fail."""
    return wait_for


@pytest.fixture(scope="session")
def mirrored(require) -> Callable[[str], Path]:
    """A path below the mirror of downloads.

    Without a mirror the test is skipped. A mirror that lacks the path is a gap: it fails where all is required.
    """
    mirror = Path(os.environ.get("CROSSOVER_MIRROR", ROOT / "../shared/mirror"))

    def find(path: str) -> Path:
        if not mirror.is_dir():
            pytest.skip(f"{path} needs a mirror of the downloads: set CROSSOVER_MIRROR to its folder")
        require((mirror / path).exists(), f"the mirror {mirror} lacks {path}: copy it there")
        return mirror / path

    return find


@pytest.fixture
def command(tmp_path, monkeypatch) -> Callable[[str, str], None]:
    """Put a command, given by its shell script, before all others of its name."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return write
