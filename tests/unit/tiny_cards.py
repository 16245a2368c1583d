"""Cards of tasks without data, for tests that need one."""

from typing import Any

from crossover.specs.descriptions import Card


def card_of(**changes: Any) -> Card:
    """A card on which only what a test is about differs from nothing."""
    facts = {
        **{"task": "t", "origin": None, "target": {"kind": "class"}, "unit": "letters", "simulated": False},
        **{"shape": None, "skipped": (), "notes": (), "counts": {}, "items": {}, "groups": {}, "classes": None},
        **{"lengths": {}, "duplicates": {}, "leakage": {}, "floor": {"score": 0.5, "rule": ""}, "sha256": {}},
    }
    return Card(**facts | changes)
