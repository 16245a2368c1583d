"""What is guessed of any data: how the task begins, what is predicted, how it is split."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOOKED_AT = 100_000  # records that a guess is made from
MOST_CLASSES = 100  # of numbers; more are rather quantities
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
# With IUPAC's letters for several nucleotides, which are amino acids too: of DNA, most are none of these.
NUCLEOTIDES, AMBIGUOUS, RESIDUES, GAPS = "ACGTU", "NRYKMSWBDHV", "ABCDEFGHIKLMNPQRSTUVWXYZ*", "-."


@dataclass
class Guess:
    """What was understood of a user's data.

    Attributes:
        settings: the task, as its YAML file holds it.
        remarks: why, by key at the top of the file.
    """

    settings: dict[str, Any]
    remarks: dict[str, str] = field(default_factory=dict)


def start(name: str, domain: str, path: Path, reader: dict[str, Any]) -> Guess:
    """The beginning of a task: its words, dataset and reader."""
    settings = {
        "title": name.replace("-", " ").capitalize(),
        "description": f"Own data, {path.name}.",
        "domain": domain,
        "licence": "unknown",
        "citation": "none",
        "dataset": {"kind": "folder", "name": name, "path": str(path)},
        "reader": reader,
    }
    return Guess(settings, {"licence": "Shown in the report."})


def letters(texts: list[str], name: str, path: Path, reader: dict[str, Any]) -> Guess:
    """A task of DNA, protein or text, by the letters; a few strange ones are for check-task to name."""
    letters: Counter[str] = Counter("".join(texts).upper())
    plain, ambiguous, residues, gaps = (
        sum(letters[letter] for letter in kind) for kind in (NUCLEOTIDES, AMBIGUOUS, RESIDUES, GAPS)
    )
    total = sum(letters.values()) - gaps or 1
    longest = max(map(len, texts), default=1)
    length = min(1024, max(8, longest))
    if plain > total / 2 and (plain + ambiguous) / total > 0.95:
        found, alphabet = start(name, "dna", path, reader), "dna"
    elif residues / total > 0.99:
        found, alphabet = start(name, "protein", path, reader), "protein"
    else:
        found = start(name, "text", path, reader)
        found.settings["encoding"] = {"kind": "subwords", "tokenizer": "checkpoint", "max_length": 128}
        found.remarks["encoding"] = "Text is cut into the subwords of each checkpoint's own tokenizer."
        return found
    found.settings["encoding"] = {"kind": "symbols", "alphabet": alphabet, "max_length": length}
    common = "".join(letter for letter, _ in letters.most_common(30))
    found.remarks["encoding"] = f"Letters seen: {common}; the longest of {len(texts)} sequences has {longest}."
    return found


def are_few(values: list[str]) -> bool:
    """Whether each value comes several times, by and large."""
    return len(set(values)) <= max(1, len(values) // 3)


def are_numbers(values: list[str]) -> bool:
    """Whether all values are numbers, and of more than two kinds."""
    return len(set(values)) > 2 and all(map(NUMBER.fullmatch, values))


def are_classes(values: list[str]) -> bool:
    """Whether values could be labels: few of them, and if they are numbers, whole ones and not too many."""
    if len(set(values)) < 2 or not are_few(values):
        return False
    if not are_numbers(values):
        return True
    return len(set(values)) <= MOST_CLASSES and all(float(value).is_integer() for value in set(values))


def predict(found: Guess, values: list[str]) -> None:
    """Set the target by the labels that were seen."""
    if values and not are_classes(values) and are_numbers(values):
        found.settings["target"] = {"kind": "number", "metric": "spearman"}
        found.remarks["target"] = (
            f"The labels are numbers, such as {values[0]}. If they stand for classes: kind: class, metric: accuracy."
        )
        return
    classes = Counter(values)
    found.settings["target"] = {"kind": "class", "metric": "accuracy"}
    listed = ", ".join(f"{label} ({count})" for label, count in classes.most_common(8))
    found.remarks["target"] = f"Classes of the first {len(values)} records: {listed or 'none was found'}."


def finish(found: Guess) -> Guess:
    """Add the split, and put the keys into their order."""
    reader = found.settings["reader"]
    columns = reader.get("columns", {})
    own_splits = reader["kind"] in ("maestro", "idx", "cifar-batches")
    if own_splits or "split" in columns or not reader.keys().isdisjoint(("files", "split", "split_folders")):
        split: dict[str, Any] = {"by": "given", "validation": 0.15}
        why = "The data say which split an item belongs to; validation is taken from training if they name none."
    elif "group" in columns or "group" in reader or reader["kind"] == "midi":
        split, why = {"by": "group", "validation": 0.15, "test": 0.2, "seed": 0}, "Items of one group stay together."
    else:
        split = {"by": "item", "validation": 0.15, "test": 0.2, "seed": 0}
        why = "At random."
        if found.settings["domain"] in ("dna", "protein"):
            why += " Where sequences have relatives among the others, `by: similarity` keeps relatives together."
    found.settings["split"], found.remarks["split"] = split, why
    order = "title description domain licence citation dataset reader split policy target encoding".split()
    found.settings = {key: found.settings[key] for key in order if key in found.settings}
    return found
