"""The order in which a study names its parts, and the runs of a cell."""

from collections.abc import Iterator
from typing import Any


def in_study_order(spec: dict[str, Any]) -> dict[str, Any]:
    """A study's spec with its tasks, checkpoints and conditions in the order of its cells.

    JSON files are written with sorted keys; the cells are a list and keep the order of the study's config.
    """
    ordered = {}
    for part in ("task", "checkpoint", "condition"):
        names = dict.fromkeys(cell[part] for cell in spec["cells"])
        ordered[f"{part}s"] = {name: spec[f"{part}s"][name] for name in names}
    return spec | ordered


def members(cell: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Role, run and seed of everything that is computed for a cell."""
    for entry in cell["sweep"]:
        yield "sweep", entry["run"], entry["seed"]
    for seed in cell["seeds"]:
        yield "final", cell["run"], seed
