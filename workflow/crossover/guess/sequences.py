"""Draft tasks from text files other than tables: FASTA, three-line records, ListOps."""

import itertools
import re
from pathlib import Path

from crossover.guess.draft import (
    MAX_RECORDS,
    Draft,
    draft_from_letters,
    finish_draft,
    look_like_classes,
    look_like_numbers,
    set_target,
    start_draft,
)
from crossover.text_files import open_text

WORD = r"^\S+\s+(\S+)"
SUPERFAMILY = r"^\S+ ([a-z]\.\d+\.\d+)\.\d+"  # in SCOP headers
SPLIT_IN_HEADER = r"\b(train|valid|validation|dev|test)\s*$"
# The value after `key=`: up to the next key or separator, or else one word.
VALUES = (r"([^=;|,]+?)(?=\s+\w+=|\s*[;|,]|\s*$)", r"([^\s;|,]+)")
# Possible labels in a FASTA header: description and pattern.
LABELS_IN_HEADERS = (
    ("the SCOP class", r"^\S+ ([a-z])\.\d+\.\d+\.\d+"),
    ("the text after the last |", r"\|([^|\s]+)\s*$"),
    ("the text in brackets at the end", r"\[([^\[\]]+)\]\s*$"),
    ("the second word", WORD),
    ("the last word", r"\s(\S+)\s*$"),
    ("the text after the first - or _ of the last word", r"[-_]([^\s_-]+)\s*$"),
)


def guess_fasta(path: Path, name: str) -> Draft:
    """Draft a task of DNA, proteins or text from a FASTA file with labels in its headers."""
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    with open_text(path) as stream:
        records = list(itertools.islice(SimpleFastaParser(stream), MAX_RECORDS))
    draft = draft_from_letters([text for _, text in records], name, path, {"kind": "fasta", "file": path.name})
    headers = [header for header, _ in records]
    label, values, reason = _label_in(headers)
    draft.settings["reader"]["label"] = label
    draft.remarks["reader"] = f"label: a regular expression whose group captures the label.\n{reason}"
    if all(re.search(SUPERFAMILY, header) for header in headers):
        draft.settings["reader"]["group"] = SUPERFAMILY
        draft.remarks["reader"] += "\ngroup: the SCOP superfamily, so that related proteins stay in the same split."
    if any(re.search(SPLIT_IN_HEADER, header) for header in headers):
        draft.settings["reader"]["split"] = SPLIT_IN_HEADER
        draft.remarks["reader"] += "\nsplit: some headers end with the name of a split; the others are for training."
    set_target(draft, values)
    return finish_draft(draft)


def guess_three_line(path: Path, name: str) -> Draft:
    """Draft a task of DNA or proteins from three-line records."""
    with open_text(path) as stream:
        lines = [line.strip() for line in itertools.islice(stream, 3 * MAX_RECORDS) if line.strip()]
    draft = draft_from_letters(lines[1::3], name, path, {"kind": "three-line", "file": path.name})
    draft.remarks["reader"] = "Three-line records: name, sequence, label."
    set_target(draft, lines[2::3])
    return finish_draft(draft)


def guess_listops(path: Path, name: str) -> Draft:
    """Draft a task of ListOps from a published file, or another in that format."""
    with open_text(path) as stream:
        longest = max(len(line.replace("(", "").replace(")", "").split()) for line in stream)
    draft = start_draft(name, "logic", path, {"kind": "listops-file", "file": path.name})
    draft.remarks["reader"] = "Every value will be recomputed and checked."
    draft.settings["target"] = {"kind": "class", "metric": "accuracy"}
    draft.settings["encoding"] = {"kind": "symbols", "alphabet": "whitespace", "max_length": min(2000, longest)}
    draft.remarks["encoding"] = f"The longest line has about {longest} symbols."
    return finish_draft(draft)


def _label_in(headers: list[str]) -> tuple[str, list[str], str]:
    """Return a pattern for labels in headers, the labels that it finds, and the reason for choosing it."""
    keys = {key for header in headers[:100] for key in re.findall(r"(\w+)=", header)}
    candidates = [(f"the value of {key}=", rf"\b{key}={value}") for key in sorted(keys) for value in VALUES]
    for words, pattern in (*candidates, *LABELS_IN_HEADERS):
        found = [match[1] for header in headers if (match := re.search(pattern, header))]
        if len(found) == len(headers) and (look_like_classes(found) or look_like_numbers(found)):
            return pattern, found, f"Label: {words}, as in {headers[0]!r}."
    return (
        WORD,
        [],
        f"No label was found in headers such as {headers[0]!r}: correct the pattern, or set a table of labels.",
    )
