"""Fixtures that run the whole workflow, once for all tests."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from workflow_copy import ROOT, WorkflowCopy, fresh_copy

# A shell starts what runs in its background deaf to Ctrl-C, and the commands of the tests would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def require() -> Callable[[bool, str], None]:
    """Skip a test by name for want of something; where everything is required, fail it."""

    def check(present: bool, message: str) -> None:
        if present:
            return
        if os.environ.get("CROSSOVER_REQUIRE_ALL") == "1":
            pytest.fail(message)
        pytest.skip(message)

    return check


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of a mirror of the downloads; without one the test is skipped, everywhere."""
    folder = Path(os.environ.get("CROSSOVER_MIRROR", ROOT / "../shared/mirror")).resolve()
    if not folder.is_dir():
        pytest.skip("this needs a mirror of the downloads: set CROSSOVER_MIRROR to its folder")
    return folder


@pytest.fixture(scope="session")
def _finished(tmp_path_factory) -> WorkflowCopy:
    copy = fresh_copy(tmp_path_factory.mktemp("finished") / "workflow")
    copy.finish("--cores", "2")
    return copy


@pytest.fixture
def finished(_finished, tmp_path) -> WorkflowCopy:
    """A copy of a workflow that has computed the tiny study to its report."""
    return _finished.copy(tmp_path / "workflow")


@pytest.fixture
def fresh(tmp_path) -> WorkflowCopy:
    """The workflow and the tiny study, nothing computed yet."""
    return fresh_copy(tmp_path / "workflow")
