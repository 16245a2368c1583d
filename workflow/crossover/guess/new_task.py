"""`crossover new-task`: guess a task from a user's own data.

Every guess is written with its reason, for the user to correct; `crossover check-task` then shows what was understood.
"""

import re
from pathlib import Path

import yaml

from crossover.config.base import NAME
from crossover.config.load import CONFIG
from crossover.errors import UserError
from crossover.files import write_text
from crossover.guess.fasta import guess_fasta
from crossover.guess.folders import guess_folder, guess_hub
from crossover.guess.found import Guess
from crossover.guess.table import guess_table

FASTA = (".fa", ".fasta", ".faa", ".fna", ".ffn")
TABLES = {".csv": "csv", ".tsv": "tsv", ".txt": "tsv", ".jsonl": "jsonl", ".json": "json", ".parquet": "parquet"}


def new_task(source: str, name: str | None = None) -> Path:
    """Write config/tasks/<name>.yaml for a file or folder of one's own, or for `hub:<dataset id>`.

    Args:
        source: a FASTA file, a table (CSV, TSV, JSON, JSONL, Parquet), a folder of MIDI files or of images, or
            `hub:OWNER/NAME`.
        name: the task's name; by default the file's.

    Returns:
        The path of what was written.

    Raises:
        UserError: the file is not there, is of no known kind, or the task exists already.
    """
    name = name or re.sub(r"[^a-z0-9]+", "-", Path(source).name.split(".")[0].lower()).strip("-")
    if not re.fullmatch(NAME, name):
        raise UserError(f"{name!r} cannot be a task's name; give --name with lower-case letters, digits and dashes.")
    target = CONFIG / "tasks" / f"{name}.yaml"
    if target.exists():
        raise UserError(f"{target} exists already; give another --name, or delete it first.")
    write_text(target, as_yaml(guess(source, name)))
    return target


def guess(source: str, name: str) -> Guess:
    """Look at a user's data and guess the task; see `new_task`."""
    if source.startswith("hub:"):
        return guess_hub(source.removeprefix("hub:"), name)
    path = Path(source)
    if not path.exists():
        raise UserError(f"{path} is not there; give the path of a file or folder, or hub:OWNER/NAME.")
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if path.is_dir():
        return guess_folder(path, name)
    if suffix in FASTA:
        return guess_fasta(path, name)
    if suffix in TABLES:
        return guess_table(path, name, TABLES[suffix])
    known = ", ".join((*FASTA, *TABLES))
    raise UserError(f"{path}: files that end in {suffix or 'nothing'} are not known; expected {known}, or a folder.")


def as_yaml(found: Guess) -> str:
    """The text of the task's file: each key with the reason for its value above it."""
    parts = [
        "# Written by `crossover new-task`: read it, correct it, then run `crossover check-task`.\n"
        "# Every key is explained in config/reference.md.\n"
    ]
    for key, value in found.settings.items():
        remark = "".join(f"# {line}\n" for line in found.remarks.get(key, "").splitlines())
        parts.append(remark + yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=110))
    return "".join(parts)
