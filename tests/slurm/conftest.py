"""SLURM clusters for tests, and the workflow on them."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, install, missing
from configuration import PARTITIONS, QUICK
from small_study import TABLES, prepared_copy
from system_services import service_files

from workflow_copy import WorkflowCopy, results


@pytest.fixture(scope="session")
def require_slurm(require) -> Callable[..., None]:
    """Skip a test, or fail it, where SLURM is not installed."""

    def check(accounting: bool = False) -> None:
        packages = missing(accounting)
        require(not packages, install(packages))

    return check


@pytest.fixture(scope="session")
def start_cluster(require_slurm, tmp_path_factory) -> Iterator[Callable[..., Cluster]]:
    """Start a cluster of one's own, with the settings of `configuration.Settings`; after the last test it is stopped.

    A test that is done with it earlier says `with start_cluster(...) as cluster:`.
    """
    with ExitStack() as clusters:

        def start(folder: Path | None = None, **settings: Any) -> Cluster:
            require_slurm(settings.get("accounting", False))
            return clusters.enter_context(Cluster.start(folder or tmp_path_factory.mktemp("cluster"), **settings))

        yield start


@pytest.fixture(scope="session")
def cluster(start_cluster) -> Cluster:
    """The cluster of all tests that leave its nodes and daemons alone; without accounting."""
    return start_cluster()


@pytest.fixture(scope="session")
def mishaps(start_cluster) -> Cluster:
    """A cluster whose nodes and daemons may be harmed; it follows processes as real ones do, where that is possible.

    A test leaves no job of its own on it.
    """
    proctrack = "cgroup" if os.access("/sys/fs/cgroup/freezer", os.W_OK) else "pgid"
    return start_cluster(gpus=1, requeue_wait=5, proctrack=proctrack)


@pytest.fixture(scope="session")
def accounting(start_cluster, tmp_path_factory) -> Iterator[Cluster]:
    """A cluster with accounting and memory limits, which leaves nothing behind.

    Sockets want short paths, and SLURM's files plain ones; a user's folder may be otherwise.
    """
    before = service_files()
    folder = tmp_path_factory.mktemp("accounting") / ("a long name with spaces, 'quotes' and ümlauts" * 2)
    with start_cluster(folder, accounting=True, memory_limits=True, cpu_nodes=1) as cluster:
        yield cluster
    assert not cluster.processes()
    assert service_files() == before
    assert cluster.base != folder and not cluster.base.parent.exists()


@pytest.fixture(scope="session")
def submitting() -> Callable[[WorkflowCopy, Cluster], WorkflowCopy]:
    """Give a copy of the workflow the environment of a cluster's user."""

    def enter(copy: WorkflowCopy, cluster: Cluster) -> WorkflowCopy:
        return replace(copy, environment=cluster.environment | PARTITIONS | QUICK)

    return enter


@pytest.fixture
def on_cluster(fresh, cluster, submitting) -> WorkflowCopy:
    """The tiny study, nothing computed yet, where `snakemake --profile slurm` uses the common cluster."""
    return submitting(fresh, cluster)


@pytest.fixture(scope="session")
def prepared(made_once) -> WorkflowCopy:
    """The small study, whose tokens and checkpoint are there; not to be changed."""
    return WorkflowCopy(made_once("prepared", prepared_copy))


@pytest.fixture(scope="session")
def undisturbed(prepared, made_once) -> dict[str, bytes]:
    """What the runs of the small study and its tables are when they are left alone on this machine."""
    return results(
        WorkflowCopy(made_once("undisturbed", lambda folder: prepared.copy(folder).finish("--cores", "2", *TABLES)))
    )


@pytest.fixture
def small(prepared, tmp_path, cluster, submitting) -> WorkflowCopy:
    """The small study, no run of it computed yet, where Snakemake submits to the common cluster."""
    return submitting(prepared.copy(tmp_path / "workflow"), cluster)
