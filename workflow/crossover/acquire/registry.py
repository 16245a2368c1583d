"""Registry of the modules that acquire each kind of dataset.

To add a kind, add a module with `acquire(settings, folder, workers) -> Acquired`, a line here, and a model in
config/datasets.py. Modules are listed by name and not imported, so that a dataset depends only on the code of its own
kind.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACQUIRERS = {
    "music21": "crossover.acquire.music21",
    "sklearn-digits": "crossover.acquire.installed",
    "python-topics": "crossover.acquire.installed",
    "folder": "crossover.acquire.folder",
    "download": "crossover.acquire.download",
    "hub": "crossover.acquire.hub",
}

UNFINISHED = ".unfinished."  # prefix of temporary folders in a dataset's folder


@dataclass(frozen=True)
class Acquired:
    """The raw files of a dataset.

    Attributes:
        root: their folder.
        files: their paths relative to `root`.
        facts: further entries of the receipt, such as `origin`, `version` and `skipped`.
    """

    root: Path
    files: list[str]
    facts: dict[str, Any] = field(default_factory=dict)
