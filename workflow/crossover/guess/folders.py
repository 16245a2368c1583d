"""Draft tasks from folders of MIDI files or images, and from datasets of the hub."""

import re
from pathlib import Path

from crossover.errors import UserError
from crossover.files import visible_files
from crossover.guess.draft import Draft, finish_draft, look_like_classes, start_draft
from crossover.guess.images import guess_images
from crossover.specs.descriptions import SPLITS
from crossover.tasks.readers.idx import FILE as IDX
from crossover.tasks.readers.images import image_suffixes
from crossover.tasks.readers.maestro import COMPOSER
from crossover.tasks.readers.pieces import SUFFIXES as MIDI
from crossover.tasks.readers.raw import SPLIT_NAMES
from crossover.tasks.readers.rows import FORMATS, PLAIN, column_names, read_plain


def split_files(path: Path) -> dict[str, str]:
    """Return the file of each split in a folder of texts or tables, by file name; empty if that is ambiguous."""
    named: dict[str, list[str]] = {}
    for file in visible_files(path):
        splits = {SPLIT_NAMES.get(word, word) for word in re.split(r"[\W_]+", file.name.lower())} & set(SPLITS)
        if len(splits) == 1 and file.suffix.lower() not in {*MIDI, *image_suffixes()}:
            named.setdefault(splits.pop(), []).append(file.as_posix())
    clear = {"train", "test"} <= named.keys() and all(len(files) == 1 for files in named.values())
    return {split: named[split][0] for split in SPLITS if split in named} if clear else {}


def guess_folder(path: Path, name: str) -> Draft:
    """Draft a task of music or images from a folder, with labels from sub-folders or a table.

    Raises:
        UserError: the folder has neither MIDI files nor images, or no labels.
    """
    files = visible_files(path)
    if published := _published(path, name, files):
        return published
    midi, images = ([file for file in files if file.suffix.lower() in kinds] for kinds in (MIDI, image_suffixes()))
    if not midi and not images:
        listed = ", ".join(sorted({file.suffix.lower() or file.name for file in files})) or "nothing"
        raise UserError(
            f"{path} contains {listed}, but neither MIDI files nor images; give the path of a single file instead."
        )
    if len(midi) >= len(images):
        draft = _music(path, name)
    else:
        draft = guess_images((path / file for file in images), path, name, {"kind": "image-folder"})
    _find_labels(draft, path, files, midi if len(midi) >= len(images) else images)
    return finish_draft(draft)


def _published(path: Path, name: str, files: list[Path]) -> Draft | None:
    """Draft a task from MAESTRO, or from data in the format of MNIST or CIFAR-10; return None for other folders."""
    tables = [file for file in files if file.suffix == ".csv"]
    if len(tables) == 1 and COMPOSER in column_names(path / tables[0], PLAIN):
        draft = _music(path, name)
        draft.settings["reader"]["kind"] = "maestro"
        draft.settings["policy"] = {"rare_class": "drop"}
        draft.remarks |= {
            "reader": f"{tables[0]} has composers and splits.",
            "policy": "Composers without a training piece are dropped and counted.",
        }
        return finish_draft(draft)
    batches = any(file.name == "data_batch_1" for file in files)
    if not batches and not any(IDX.search(file.name) for file in files):
        return None
    draft = start_draft(name, "images", path, {"kind": "cifar-batches" if batches else "idx"})
    draft.settings["encoding"] = {"kind": "patches", "patch": [4, 4]}
    draft.settings["target"] = {"kind": "class", "metric": "accuracy"}
    return finish_draft(draft)


def _find_labels(draft: Draft, path: Path, files: list[Path], wanted: list[Path]) -> None:
    """Set the reader's labels: a table that lists the files, or class folders, possibly inside split folders."""
    reader = draft.settings["reader"]
    for table in (file for file in files if FORMATS.get(file.suffix.lower()) in ("csv", "tsv")):
        if columns := _columns_of_labels(path, table, {file.as_posix() for file in wanted}):
            reader["labels"] = {"file": table.as_posix()} | columns
            draft.remarks["reader"] = f"{len(wanted)} files; {table} lists them with their labels."
            return
    outer = {file.parts[0] for file in wanted if len(file.parts) > 2}
    if {"train", "test"} <= {SPLIT_NAMES.get(name.lower(), name.lower()) for name in outer} <= set(SPLITS):
        reader["split_folders"] = True
    depth = 1 if "split_folders" in reader else 0
    classes = sorted({file.parts[depth] for file in wanted if len(file.parts) > depth + 1})
    if len(classes) < 2:
        raise UserError(
            f"{path} needs one sub-folder per class with its files, or a csv that lists files and labels, but has "
            f"{len(classes)} such folders."
        )
    splits = " inside the split folders" if depth else ""
    draft.remarks["reader"] = (
        f"{len(wanted)} files; the sub-folders{splits} are the classes: {', '.join(classes[:12])}."
    )


def _columns_of_labels(path: Path, table: Path, files: set[str]) -> dict[str, str] | None:
    """Return the columns of a table with file names and labels; None if it has none."""
    names = [str(name) for name in column_names(path / table, PLAIN) if name]
    if len(set(names)) < len(names):
        return None
    rows = [[(value or "").strip() for value in row] for _, row in read_plain(path / table, names)]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}

    def name_files(values: list[str]) -> bool:
        named = {(table.parent / value).as_posix() for value in values}
        return bool(named) and len(named) == len(values) and named <= files

    items = [name for name, values in columns.items() if name_files(values)]
    labels = [name for name, values in columns.items() if name not in items and look_like_classes(values)]
    return {"item": items[0], "target": labels[0]} if items and labels else None


def _music(path: Path, name: str) -> Draft:
    draft = start_draft(name, "music", path, {"kind": "midi", "segment": 128, "maximum_segments": "all"})
    draft.settings["encoding"] = {"kind": "symbols", "alphabet": "midi-pitch", "max_length": 128}
    draft.settings["target"] = {"kind": "class", "metric": "accuracy", "vote": True}
    draft.remarks["target"] = "The class of a piece is a majority vote over its segments."
    return draft


def guess_hub(identifier: str, name: str) -> Draft:
    """Draft a task for a dataset of the Hugging Face hub, to be completed by the user; the hub is not accessed."""
    reader = {"kind": "table", "format": "parquet", "files": {"train": "train.parquet", "test": "test.parquet"}}
    reader["columns"] = {"sequence": "text", "target": "label"}
    draft = start_draft(name, "text", Path(identifier), reader)
    draft.settings["dataset"] = {"kind": "hub", "name": name, "id": identifier, "revision": "FILL-IN",
                                 "splits": {"train": "train", "test": "test"}}  # fmt: skip
    draft.remarks["dataset"] = (
        "revision: the full commit hash of the dataset, from its page on the hub; it pins the data."
    )
    draft.remarks["reader"] = "The hub was not accessed: correct columns and splits, using its page."
    draft.settings["target"] = {"kind": "class", "metric": "accuracy"}
    draft.settings["encoding"] = {"kind": "subwords", "tokenizer": "checkpoint", "max_length": 128}
    return finish_draft(draft)
