"""Which module acquires which kind of dataset, and what it hands over.

Adding a kind is one module with `acquire(settings, folder, workers) -> Acquired`, one line here, and one model in
config/datasets.py. The modules are named rather than imported, so that a dataset depends on the code of its own kind
alone.
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

UNFINISHED = ".unfinished."  # how the temporary folders in a dataset's folder begin


@dataclass(frozen=True)
class Acquired:
    """The raw files of a dataset.

    Attributes:
        root: the folder in which they lie.
        files: their paths relative to `root`.
        facts: what the receipt says beside: `origin`, `version`, `skipped` and whatever else is worth knowing.
    """

    root: Path
    files: list[str]
    facts: dict[str, Any] = field(default_factory=dict)
