"""Guesses from text files that are no tables: FASTA, records of three lines, ListOps."""

import itertools
import re
from pathlib import Path

from crossover.guess.draft import LOOKED_AT, Guess, are_classes, are_numbers, finish, letters, predict, start
from crossover.tasks.readers.raw import open_text

WORD = r"^\S+\s+(\S+)"
SUPERFAMILY = r"^\S+ ([a-z]\.\d+\.\d+)\.\d+"  # in the headers of SCOP
SPLIT_IN_HEADER = r"\b(train|valid|validation|dev|test)\s*$"
# What stands after a key and =, up to the next key or separator, or else one word.
VALUES = (r"([^=;|,]+?)(?=\s+\w+=|\s*[;|,]|\s*$)", r"([^\s;|,]+)")
# What may be a label in a FASTA header: where it stands, and the pattern that finds it.
LABELS_IN_HEADERS = (
    ("the SCOP class", r"^\S+ ([a-z])\.\d+\.\d+\.\d+"),
    ("what follows the last |", r"\|([^|\s]+)\s*$"),
    ("what the brackets at the end hold", r"\[([^\[\]]+)\]\s*$"),
    ("the second word", WORD),
    ("the last word", r"\s(\S+)\s*$"),
    ("what follows the first - or _ of the last word", r"[-_]([^\s_-]+)\s*$"),
)


def guess_fasta(path: Path, name: str) -> Guess:
    """A task of DNA, proteins or text from a FASTA file, whose headers hold the labels."""
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    with open_text(path) as stream:
        records = list(itertools.islice(SimpleFastaParser(stream), LOOKED_AT))
    found = letters([text for _, text in records], name, path, {"kind": "fasta", "file": path.name})
    headers = [header for header, _ in records]
    label, values, reason = _label_in(headers)
    found.settings["reader"]["label"] = label
    found.remarks["reader"] = f"label: a regular expression whose group is the label.\n{reason}"
    if all(re.search(SUPERFAMILY, header) for header in headers):
        found.settings["reader"]["group"] = SUPERFAMILY
        found.remarks["reader"] += "\ngroup: the SCOP superfamily, so that relatives stay in one split."
    if any(re.search(SPLIT_IN_HEADER, header) for header in headers):
        found.settings["reader"]["split"] = SPLIT_IN_HEADER
        found.remarks["reader"] += "\nsplit: some headers end in the name of a split; the others are for training."
    predict(found, values)
    return finish(found)


def guess_three_line(path: Path, name: str) -> Guess:
    """A task of DNA or proteins from records of name, sequence and label."""
    with open_text(path) as stream:
        lines = [line.strip() for line in itertools.islice(stream, 3 * LOOKED_AT) if line.strip()]
    found = letters(lines[1::3], name, path, {"kind": "three-line", "file": path.name})
    found.remarks["reader"] = "Records of three lines: name, sequence, label."
    predict(found, lines[2::3])
    return finish(found)


def guess_listops(path: Path, name: str) -> Guess:
    """A task of ListOps from a published file, or another of that form."""
    with open_text(path) as stream:
        longest = max(len(line.replace("(", "").replace(")", "").split()) for line in stream)
    found = start(name, "logic", path, {"kind": "listops-file", "file": path.name})
    found.remarks["reader"] = "Every value will be computed again."
    found.settings["target"] = {"kind": "class", "metric": "accuracy"}
    found.settings["encoding"] = {"kind": "symbols", "alphabet": "whitespace", "max_length": min(2000, longest)}
    found.remarks["encoding"] = f"The longest line has about {longest} symbols."
    return finish(found)


def _label_in(headers: list[str]) -> tuple[str, list[str], str]:
    """The pattern that finds labels in headers, what it finds, and why it was chosen."""
    keys = {key for header in headers[:100] for key in re.findall(r"(\w+)=", header)}
    candidates = [(f"what follows {key}=", rf"\b{key}={value}") for key in sorted(keys) for value in VALUES]
    for words, pattern in (*candidates, *LABELS_IN_HEADERS):
        found = [match[1] for header in headers if (match := re.search(pattern, header))]
        if len(found) == len(headers) and (are_classes(found) or are_numbers(found)):
            return pattern, found, f"Taken: {words}, as in {headers[0]!r}."
    return (
        WORD,
        [],
        f"No label was found in headers such as {headers[0]!r}: correct the pattern, or give a table of labels.",
    )
