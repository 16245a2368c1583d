"""Data that Python packages install."""

import importlib.util
from importlib.metadata import version
from pathlib import Path

from crossover.errors import UserError


def package_folder(package: str) -> Path:
    """The folder of an installed Python package, found without importing it.

    Raises:
        UserError: it is not installed whole.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise UserError(f"the Python package {package} is not installed whole; install the environment again.")
    return Path(found.origin).parent


def require_version(distribution: str, expected: str) -> None:
    """Make sure that a package is still the one that was planned with.

    Raises:
        UserError: another version is installed.
    """
    if version(distribution) != expected:
        raise UserError(
            f"{distribution} {version(distribution)} is installed, but this was planned with {expected}; run snakemake again."
        )
