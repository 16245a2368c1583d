"""`crossover new-task`: guess a task from a user's own data.

Every guess is written with its reason, for the user to correct; `crossover check-task` then shows what was understood.
"""

import re
from pathlib import Path
from typing import Any, Literal

import yaml

from crossover.config.base import NAME
from crossover.config.load import CONFIG
from crossover.errors import UserError
from crossover.files import write_text
from crossover.guess.draft import Draft, finish_draft
from crossover.guess.folders import guess_folder, guess_hub, split_files
from crossover.guess.sequences import guess_fasta, guess_listops, guess_three_line
from crossover.guess.table import SURROGATE, guess_table
from crossover.guess.text import TextFormat, detect_format
from crossover.text_files import open_text

RECORDS: dict[str, Literal["json", "jsonl", "parquet"]] = {".json": "json", ".jsonl": "jsonl", ".parquet": "parquet"}


def new_task(source: str, name: str | None = None) -> Path:
    """Write config/tasks/<name>.yaml for a file or folder of one's own, or for `hub:<dataset id>`.

    Args:
        source: a text file (FASTA, a table, records of three lines, ListOps), JSON, JSONL, Parquet, a folder of such files for
            each split, of MIDI files or of images, or `hub:OWNER/NAME`.
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


def guess(source: str, name: str) -> Draft:
    """Look at a user's data and guess the task; see `new_task`."""
    if source.startswith("hub:"):
        return guess_hub(source.removeprefix("hub:"), name)
    path = Path(source)
    if SURROGATE.search(source):
        raise UserError(f"the name of {source!a} is not UTF-8; rename it.")
    if not path.exists():
        raise UserError(f"{path} is not there; give the path of a file or folder, or hub:OWNER/NAME.")
    if path.is_dir():
        files = split_files(path)
        return _guess_splits(path, files, name) if files else guess_folder(path, name)
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix in RECORDS:
        return guess_table(
            path, name, TextFormat("jsonl" if suffix == ".json" and _has_objects(path) else RECORDS[suffix])
        )
    match (form := detect_format(path)).kind:
        case "fasta":
            return guess_fasta(path, name)
        case "three-line":
            return guess_three_line(path, name)
        case "listops":
            return guess_listops(path, name)
    return guess_table(path, name, form)


def _has_objects(path: Path) -> bool:
    """Return whether a JSON file has an object on each line, rather than a list of them."""
    with open_text(path) as stream:
        first, second = next(stream, "").strip(), next(stream, "").strip()
    return first.startswith("{") and first.endswith("}") and second.startswith("{")


def _guess_splits(path: Path, files: dict[str, str], name: str) -> Draft:
    """Guess a task from a folder with one file for each split: what the one for training says, of all of them."""
    found = guess(str(path / files["train"]), name)
    found.settings["dataset"]["path"] = str(path)
    reader = found.settings["reader"]
    del reader["file"]
    found.settings["reader"] = {"kind": reader.pop("kind"), "files": files, **reader}
    return finish_draft(found)


def as_yaml(found: Draft) -> str:
    """Return the text of the task's file: each key with the reason for its value above it."""
    parts = [
        "# Written by `crossover new-task`: read it, correct it, then run `crossover check-task`.\n"
        "# Every key is explained in config/reference.md.\n"
    ]
    for key, value in found.settings.items():
        remark = "".join(f"# {_printable(line)}\n" for line in found.remarks.get(key, "").splitlines())
        parts.append(remark + _dumped({key: value}))
    return "".join(parts)


def _dumped(entry: dict[str, Any]) -> str:
    """Return an entry as YAML, its letters as they are unless they would be read as others, as the line ends of Unicode would."""
    readable: str = yaml.safe_dump(entry, sort_keys=False, allow_unicode=True, width=110)
    escaped: str = yaml.safe_dump(entry, sort_keys=False, width=110)
    return readable if yaml.safe_load(readable) == entry else escaped


def _printable(line: str) -> str:
    """Return a line that YAML allows, whatever the data hold."""
    return "".join(letter if letter.isprintable() else "?" for letter in line)
