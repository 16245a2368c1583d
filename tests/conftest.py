"""What all tests share: settings of the machine, the order of a parallel run, and the workflow, computed once."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock

from workflow_copy import ROOT, WorkflowCopy, fresh_copy

# A shell starts what runs in its background deaf to Ctrl-C, and the commands of the tests would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Workers side by side would fight for the cores. Commands that the tests start choose for themselves.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says more about the machine's other work than about the code.
hypothesis.settings.register_profile("crossover", deadline=None)
hypothesis.settings.load_profile("crossover")


# In a parallel run the tests of a file stay on one worker, and those of these folders, which share what is costly to make.
TOGETHER = ("dag", "report")
# What takes longest begins, so that the workers end at about the same time; unit tests fill the rest.
LONGEST = (
    "test_survival_scheduler.py",
    "dag",
    "test_survival_files.py",
    "test_batches.py",
    "report",
    "test_whole_workflow.py",
)
TRAINING = {"_tiny", "forked"}  # fixtures of unit tests that build models and train them


@pytest.hookimpl(tryfirst=True)  # before -m chooses by the mark
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that train, and put those of a parallel run into order."""
    for item in items:
        if TRAINING & set(item.fixturenames):
            item.add_marker(pytest.mark.training)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: turn_of(item.path))


def turn_of(path: Path) -> tuple[int, bool]:
    """Return the place of a file's tests in the order of a parallel run."""
    scope = scope_of(path)
    return (*LONGEST, scope).index(scope), path.parent.name == "unit"


def scope_of(path: Path) -> str:
    """Return the folder or the file whose tests stay together."""
    return path.parent.name if path.parent.name in TOGETHER else path.name


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep tests together on a worker; the groups of `--dist loadgroup` do nothing with this version of pytest."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFolderOrFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(Path(nodeid.partition("::")[0]))

    return ByFolderOrFile(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Make a folder that all workers of a parallel run share, whichever comes first; it must not be changed."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, made = base / name, base / f"{name}.made"
        with FileLock(base / f"{name}.lock"):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                fill(folder)
                made.touch()
        return folder

    return make


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
def _finished(made_once) -> WorkflowCopy:
    return WorkflowCopy(made_once("finished", lambda folder: fresh_copy(folder).finish("--cores", "2")))


@pytest.fixture
def finished(_finished, tmp_path) -> WorkflowCopy:
    """A copy of a workflow that has computed the tiny study to its report."""
    return _finished.copy(tmp_path / "workflow")


@pytest.fixture
def fresh(tmp_path) -> WorkflowCopy:
    """The workflow and the tiny study, nothing computed yet."""
    return fresh_copy(tmp_path / "workflow")
