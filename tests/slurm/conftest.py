"""SLURM clusters for tests, and the workflow on them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, install, missing
from configuration import PARTITIONS, QUICK
from small_study import ALL_SEEDS, SEEDS, TABLES, prepared_copy

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
def prepared(tmp_path_factory) -> WorkflowCopy:
    """The small study, whose tokens and checkpoint are there; not to be changed."""
    return prepared_copy(tmp_path_factory.mktemp("prepared") / "workflow")


@pytest.fixture(scope="session")
def undisturbed(prepared, tmp_path_factory) -> dict[str, bytes]:
    """What the runs of the small study find when they are left alone on this machine."""
    copy = prepared.copy(tmp_path_factory.mktemp("undisturbed") / "workflow")
    found: dict[str, bytes] = {}
    for before, seeds in ((SEEDS, ALL_SEEDS), (ALL_SEEDS, SEEDS)):
        copy.edit("tiny.yaml", f"seeds: {list(before)}", f"seeds: {list(seeds)}")
        copy.finish("--cores", "2", *TABLES)
        for path, content in results(copy).items():
            found[f"{len(seeds)}/{path}" if path.startswith("studies/") else path] = content
    return found


@pytest.fixture
def small(prepared, tmp_path, cluster, submitting) -> WorkflowCopy:
    """The small study, no run of it computed yet, where Snakemake submits to the common cluster."""
    return submitting(prepared.copy(tmp_path / "workflow"), cluster)
