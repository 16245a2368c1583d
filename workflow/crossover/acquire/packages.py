"""Find data files of installed Python packages."""

import importlib.util
from importlib.metadata import version
from pathlib import Path

from crossover.errors import UserError


def package_folder(package: str) -> Path:
    """Return the folder of an installed Python package, without importing it.

    Raises:
        UserError: the package is not completely installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise UserError(f"the Python package {package} is not completely installed; reinstall the environment.")
    return Path(found.origin).parent


def require_version(distribution: str, expected: str | None) -> None:
    """Raise unless the installed version of a package is the planned one.

    Raises:
        UserError: another version is installed.
    """
    if version(distribution) != expected:
        raise UserError(
            f"{distribution} {version(distribution)} is installed, but {expected} was planned; run snakemake again."
        )
