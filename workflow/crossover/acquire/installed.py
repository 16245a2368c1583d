"""Copy single files of installed packages: scikit-learn's digits and Python's documentation topics."""

import shutil
from pathlib import Path
from typing import Any

from crossover.acquire.packages import package_folder, require_version
from crossover.acquire.registry import Acquired
from crossover.errors import UserError
from crossover.files import replacing, sha256


def acquire(settings: dict[str, Any], folder: Path, workers: int) -> Acquired:
    """Copy `digits.csv.gz` of scikit-learn, or `topics.py` of Python, into `folder`.

    Raises:
        UserError: the file is missing, or has changed since planning.
    """
    if settings["kind"] == "sklearn-digits":
        require_version("scikit-learn", settings["version"])
        source = package_folder("sklearn") / "datasets" / "data" / "digits.csv.gz"
        facts = {"origin": "scikit-learn, sklearn.datasets.load_digits", "version": settings["version"]}
    else:
        source = package_folder("pydoc_data") / "topics.py"
        if source.is_file() and sha256(source) != settings["sha256"]:
            raise UserError(f"{source} has changed since this was planned; run snakemake again.")
        facts = {"origin": "Python, pydoc_data.topics", "version": settings["sha256"]}
    if not source.is_file():
        raise UserError(f"{source}, the file of this dataset, is missing; reinstall the environment.")
    with replacing(folder / source.name) as temporary:
        shutil.copyfile(source, temporary)
    return Acquired(folder, [source.name], facts)
