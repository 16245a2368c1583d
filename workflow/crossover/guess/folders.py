"""Guesses from folders of MIDI files or images, and from the name of a dataset of the hub."""

import re
from pathlib import Path

from crossover.errors import UserError
from crossover.files import visible_files
from crossover.guess.draft import Guess, are_classes, finish, start
from crossover.guess.images import guess_images
from crossover.specs.descriptions import SPLITS
from crossover.tasks.readers.idx import FILE as IDX
from crossover.tasks.readers.images import image_suffixes
from crossover.tasks.readers.maestro import COMPOSER
from crossover.tasks.readers.pieces import SUFFIXES as MIDI
from crossover.tasks.readers.raw import SPLIT_NAMES
from crossover.tasks.readers.rows import FORMATS, PLAIN, column_names, read_plain


def files_of_splits(path: Path) -> dict[str, str]:
    """The one file of each split in a folder of texts or tables, by its name; none where they cannot be told."""
    named: dict[str, list[str]] = {}
    for file in visible_files(path):
        splits = {SPLIT_NAMES.get(word, word) for word in re.split(r"[\W_]+", file.name.lower())} & set(SPLITS)
        if len(splits) == 1 and file.suffix.lower() not in {*MIDI, *image_suffixes()}:
            named.setdefault(splits.pop(), []).append(file.as_posix())
    clear = {"train", "test"} <= named.keys() and all(len(files) == 1 for files in named.values())
    return {split: named[split][0] for split in SPLITS if split in named} if clear else {}


def guess_folder(path: Path, name: str) -> Guess:
    """A task of music or images from a folder: the labels are its sub-folders, or stand in a table.

    Raises:
        UserError: there are neither MIDI files nor images in it, or no labels.
    """
    files = visible_files(path)
    if published := _published(path, name, files):
        return published
    midi, images = ([file for file in files if file.suffix.lower() in kinds] for kinds in (MIDI, image_suffixes()))
    if not midi and not images:
        listed = ", ".join(sorted({file.suffix.lower() or file.name for file in files})) or "nothing"
        raise UserError(f"{path} holds {listed}, but neither MIDI files nor images; name one file instead.")
    if len(midi) >= len(images):
        found = _music(path, name)
    else:
        found = guess_images((path / file for file in images), path, name, {"kind": "image-folder"})
    _find_labels(found, path, files, midi if len(midi) >= len(images) else images)
    return finish(found)


def _published(path: Path, name: str, files: list[Path]) -> Guess | None:
    """The folder of a published dataset that has a reader of its own: MAESTRO, or in the form of MNIST or of CIFAR-10."""
    tables = [file for file in files if file.suffix == ".csv"]
    if len(tables) == 1 and COMPOSER in column_names(path / tables[0], PLAIN):
        found = _music(path, name)
        found.settings["reader"]["kind"] = "maestro"
        found.settings["policy"] = {"rare_class": "drop"}
        found.remarks |= {
            "reader": f"{tables[0]} names composers and splits.",
            "policy": "Composers who are not in training are left out, and counted.",
        }
        return finish(found)
    batches = any(file.name == "data_batch_1" for file in files)
    if not batches and not any(IDX.search(file.name) for file in files):
        return None
    found = start(name, "images", path, {"kind": "cifar-batches" if batches else "idx"})
    found.settings["encoding"] = {"kind": "patches", "patch": [4, 4]}
    found.settings["target"] = {"kind": "class", "metric": "accuracy"}
    return finish(found)


def _find_labels(found: Guess, path: Path, files: list[Path], wanted: list[Path]) -> None:
    """Tell the reader where the labels are: in a table that names the files, or in folders, below those of splits or not."""
    reader = found.settings["reader"]
    for table in (file for file in files if FORMATS.get(file.suffix.lower()) in ("csv", "tsv")):
        if columns := _columns_of_labels(path, table, {file.as_posix() for file in wanted}):
            reader["labels"] = {"file": table.as_posix()} | columns
            found.remarks["reader"] = f"{len(wanted)} files; {table} names them and their labels."
            return
    outer = {file.parts[0] for file in wanted if len(file.parts) > 2}
    if {"train", "test"} <= {SPLIT_NAMES.get(name.lower(), name.lower()) for name in outer} <= set(SPLITS):
        reader["split_folders"] = True
    depth = 1 if "split_folders" in reader else 0
    classes = sorted({file.parts[depth] for file in wanted if len(file.parts) > depth + 1})
    if len(classes) < 2:
        raise UserError(
            f"{path} needs a sub-folder for each class with its files in it, or a csv that names files and labels, but has "
            f"{len(classes)} such folders."
        )
    splits = " within those of the splits" if depth else ""
    found.remarks["reader"] = (
        f"{len(wanted)} files; the sub-folders{splits} are the classes: {', '.join(classes[:12])}."
    )


def _columns_of_labels(path: Path, table: Path, files: set[str]) -> dict[str, str] | None:
    """The columns of a table that name files and labels, if there are such."""
    names = [name for name in column_names(path / table, PLAIN) if name]
    if len(set(names)) < len(names):
        return None
    rows = [[(value or "").strip() for value in row] for _, row in read_plain(path / table, names)]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}

    def name_files(values: list[str]) -> bool:
        named = {(table.parent / value).as_posix() for value in values}
        return bool(named) and len(named) == len(values) and named <= files

    items = [name for name, values in columns.items() if name_files(values)]
    labels = [name for name, values in columns.items() if name not in items and are_classes(values)]
    return {"item": items[0], "target": labels[0]} if items and labels else None


def _music(path: Path, name: str) -> Guess:
    found = start(name, "music", path, {"kind": "midi", "segment": 128, "maximum_segments": "all"})
    found.settings["encoding"] = {"kind": "symbols", "alphabet": "midi-pitch", "max_length": 128}
    found.settings["target"] = {"kind": "class", "metric": "accuracy", "vote": True}
    found.remarks["target"] = "Segments of a piece vote on its class."
    return found


def guess_hub(identifier: str, name: str) -> Guess:
    """A form to fill in for a dataset of the Hugging Face hub, which is not asked."""
    reader = {"kind": "table", "format": "parquet", "files": {"train": "train.parquet", "test": "test.parquet"}}
    reader["columns"] = {"sequence": "text", "target": "label"}
    found = start(name, "text", Path(identifier), reader)
    found.settings["dataset"] = {"kind": "hub", "name": name, "id": identifier, "revision": "FILL-IN",
                                 "splits": {"train": "train", "test": "test"}}  # fmt: skip
    found.remarks["dataset"] = (
        "revision: the commit of the dataset, from its page on the hub; it pins what is downloaded."
    )
    found.remarks["reader"] = "The hub was not asked: correct columns and splits after its page."
    found.settings["target"] = {"kind": "class", "metric": "accuracy"}
    found.settings["encoding"] = {"kind": "subwords", "tokenizer": "checkpoint", "max_length": 128}
    return finish(found)
