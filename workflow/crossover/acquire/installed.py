"""Copy single files of installed packages: scikit-learn's digits and Python's documentation topics."""

import shutil
from pathlib import Path

from crossover.acquire.acquired import Acquired
from crossover.acquire.packages import package_folder, require_version
from crossover.config.datasets import DigitsDataset, PythonTopicsDataset
from crossover.errors import UserError
from crossover.files import replacing, sha256
from crossover.specs.datasets import DatasetSpec


def acquire(dataset: DigitsDataset | PythonTopicsDataset, spec: DatasetSpec, folder: Path, workers: int) -> Acquired:
    """Copy `digits.csv.gz` of scikit-learn, or `topics.py` of Python, into `folder`.

    Raises:
        UserError: the file is missing, or has changed since planning.
    """
    if isinstance(dataset, DigitsDataset):
        require_version("scikit-learn", spec.version)
        source = package_folder("sklearn") / "datasets" / "data" / "digits.csv.gz"
        origin, version = "scikit-learn, sklearn.datasets.load_digits", spec.version
    else:
        source = package_folder("pydoc_data") / "topics.py"
        if source.is_file() and sha256(source) != spec.sha256:
            raise UserError(f"{source} has changed since this was planned; run snakemake again.")
        origin, version = "Python, pydoc_data.topics", spec.sha256
    if not source.is_file():
        raise UserError(f"{source}, the file of this dataset, is missing; reinstall the environment.")
    with replacing(folder / source.name) as temporary:
        shutil.copyfile(source, temporary)
    return Acquired(folder, [source.name], origin, version)
