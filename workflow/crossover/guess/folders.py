"""Guesses from folders of MIDI files or images, and from the name of a dataset of the hub."""

from collections import Counter
from pathlib import Path

from crossover.errors import UserError
from crossover.guess.found import LOOKED_AT, Guess, finish, start

MIDI = (".mid", ".midi")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff")


def guess_folder(path: Path, name: str) -> Guess:
    """A task of music or images from a folder with one sub-folder for each class.

    Raises:
        UserError: there are neither MIDI files nor images in it, or fewer than two classes.
    """
    files = [file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")]
    kinds = Counter(file.suffix.lower() for file in files)
    midi, images = (sum(kinds[suffix] for suffix in group) for group in (MIDI, IMAGES))
    if midi and midi >= images:
        found = start(name, "music", path, {"kind": "midi", "segment": 128, "maximum_segments": "all"})
        found.settings["encoding"] = {"kind": "symbols", "alphabet": "midi-pitch", "max_length": 128}
        found.settings["target"] = {"kind": "class", "metric": "accuracy", "vote": True}
        found.remarks["target"] = "Segments of a piece vote on its class."
    elif images:
        found = _image_folder(path, name, [file for file in files if file.suffix.lower() in IMAGES])
    else:
        listed = ", ".join(sorted(kinds)) or "nothing"
        raise UserError(f"{path} holds {listed}, but neither MIDI files nor images; name one file instead.")
    classes = sorted({file.relative_to(path).parts[0] for file in files if len(file.relative_to(path).parts) > 1})
    if len(classes) < 2:
        raise UserError(f"{path} needs a sub-folder for each class, with its files in it, but has {len(classes)}.")
    found.remarks["reader"] = f"{len(files)} files; the sub-folders are the classes: {', '.join(classes[:12])}."
    return finish(found)


def _image_folder(path: Path, name: str, files: list[Path]) -> Guess:
    from PIL import Image

    sizes: Counter[tuple[int, int]] = Counter()
    for file in files[:LOOKED_AT]:
        try:
            with Image.open(file) as image:
                sizes[image.height, image.width] += 1
        except OSError:
            continue  # check-task names it
    if not sizes:
        raise UserError(f"{path}: none of the images can be opened; correct the files.")
    rows, columns = sizes.most_common(1)[0][0]
    found = start(name, "images", path, {"kind": "image-folder"})
    if len(sizes) > 1:
        found.settings["reader"]["resize"] = [rows, columns]
    patch = [_patch(rows), _patch(columns)]
    found.settings["encoding"] = {"kind": "patches", "patch": patch}
    found.remarks["encoding"] = f"Most images have {rows} x {columns} pixels: {rows // patch[0] * (columns // patch[1])} patches."  # fmt: skip
    found.settings["target"] = {"kind": "class", "metric": "accuracy"}
    return found


def _patch(pixels: int) -> int:
    """The size of a patch that divides an edge into at most 16 parts."""
    return next(size for size in range(max(1, -(-pixels // 16)), pixels + 1) if pixels % size == 0)


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
