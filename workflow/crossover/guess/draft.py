"""The draft of a task, and the guesses that apply to all kinds of data: encoding, target and split."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_RECORDS = 100_000  # records that are looked at
MAX_NUMBER_CLASSES = 100  # more distinct numbers are treated as quantities
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
# AMBIGUOUS are IUPAC's letters for several nucleotides, which are amino acids too; most letters of DNA are not.
NUCLEOTIDES, AMBIGUOUS, RESIDUES, GAPS = "ACGTU", "NRYKMSWBDHV", "ABCDEFGHIKLMNPQRSTUVWXYZ*", "-."


@dataclass
class Draft:
    """The draft of a task.

    Attributes:
        settings: the content of the task's YAML file.
        remarks: the reason for each guess, by top-level key.
    """

    settings: dict[str, Any]
    remarks: dict[str, str] = field(default_factory=dict)


def start_draft(name: str, domain: str, path: Path, reader: dict[str, Any]) -> Draft:
    """Start a draft with title, dataset and reader."""
    settings = {
        "title": name.replace("-", " ").capitalize(),
        "description": f"Own data, {path.name}.",
        "domain": domain,
        "licence": "unknown",
        "citation": "none",
        "dataset": {"kind": "folder", "name": name, "path": str(path)},
        "reader": reader,
    }
    return Draft(settings, {"licence": "Shown in the report."})


def draft_from_letters(texts: list[str], name: str, path: Path, reader: dict[str, Any]) -> Draft:
    """Draft a task of DNA, protein or text, by its letters. A few other letters are left for check-task to report."""
    letters: Counter[str] = Counter("".join(texts).upper())
    plain, ambiguous, residues, gaps = (
        sum(letters[letter] for letter in kind) for kind in (NUCLEOTIDES, AMBIGUOUS, RESIDUES, GAPS)
    )
    total = sum(letters.values()) - gaps or 1
    longest = max(map(len, texts), default=1)
    length = min(1024, max(8, longest))
    if plain > total / 2 and (plain + ambiguous) / total > 0.95:
        draft, alphabet = start_draft(name, "dna", path, reader), "dna"
    elif residues / total > 0.99:
        draft, alphabet = start_draft(name, "protein", path, reader), "protein"
    else:
        draft = start_draft(name, "text", path, reader)
        draft.settings["encoding"] = {"kind": "subwords", "tokenizer": "checkpoint", "max_length": 128}
        draft.remarks["encoding"] = "Text is encoded as subwords by each checkpoint's own tokenizer."
        return draft
    draft.settings["encoding"] = {"kind": "symbols", "alphabet": alphabet, "max_length": length}
    common = "".join(letter for letter, _ in letters.most_common(30))
    draft.remarks["encoding"] = f"Letters found: {common}; the longest of {len(texts)} sequences has {longest}."
    return draft


def has_few_distinct(values: list[str]) -> bool:
    """Return whether values occur at least three times on average."""
    return len(set(values)) <= max(1, len(values) // 3)


def look_like_numbers(values: list[str]) -> bool:
    """Return whether all values are numbers, with more than two different ones."""
    return len(set(values)) > 2 and all(map(NUMBER.fullmatch, values))


def look_like_classes(values: list[str]) -> bool:
    """Return whether values could be class labels: few different ones; if numbers, integers and not too many."""
    if len(set(values)) < 2 or not has_few_distinct(values):
        return False
    if not look_like_numbers(values):
        return True
    return len(set(values)) <= MAX_NUMBER_CLASSES and all(float(value).is_integer() for value in set(values))


def set_target(draft: Draft, values: list[str]) -> None:
    """Set the target, given the labels."""
    if values and not look_like_classes(values) and look_like_numbers(values):
        draft.settings["target"] = {"kind": "number", "metric": "spearman"}
        draft.remarks["target"] = (
            f"The labels are numbers, such as {values[0]}. If they are classes, set kind: class, metric: accuracy."
        )
        return
    classes = Counter(values)
    draft.settings["target"] = {"kind": "class", "metric": "accuracy"}
    listed = ", ".join(f"{label} ({count})" for label, count in classes.most_common(8))
    draft.remarks["target"] = f"Classes of the first {len(values)} records: {listed or 'none found'}."


def finish_draft(draft: Draft) -> Draft:
    """Add the split, and order the keys."""
    reader = draft.settings["reader"]
    columns = reader.get("columns", {})
    own_splits = reader["kind"] in ("maestro", "idx", "cifar-batches")
    if own_splits or "split" in columns or not reader.keys().isdisjoint(("files", "split", "split_folders")):
        split: dict[str, Any] = {"by": "given", "validation": 0.15}
        why = "The data define the splits; validation is taken from training if there is no validation split."
    elif "group" in columns or "group" in reader or reader["kind"] == "midi":
        split, why = (
            {"by": "group", "validation": 0.15, "test": 0.2, "seed": 0},
            "Items of one group stay in the same split.",
        )
    else:
        split = {"by": "item", "validation": 0.15, "test": 0.2, "seed": 0}
        why = "At random."
        if draft.settings["domain"] in ("dna", "protein"):
            why += " If some sequences are related, `by: similarity` keeps related ones in the same split."
    draft.settings["split"], draft.remarks["split"] = split, why
    order = "title description domain licence citation dataset reader split policy target encoding".split()
    draft.settings = {key: draft.settings[key] for key in order if key in draft.settings}
    return draft
