"""MIDI files with labels by folder or in a table, as segments of notes."""

from typing import Any

import pandas as pd

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items
from crossover.tasks.readers.labels import Skipped, read_labels, split_of
from crossover.tasks.readers.pieces import FEWEST_NOTES, SUFFIXES, cut_pieces, rows_of, unit_of


def read(settings: dict[str, Any], receipt: Receipt) -> Items:
    """Cut each piece into segments of successive notes.

    Args:
        settings: those of `cut_pieces` and of `read_labels`.
        receipt: files at `<class>/.../<piece>.mid` or `<split>/<class>/.../<piece>.mid`, or anywhere with a table.

    Returns:
        One item per segment, grouped by piece; `sequence` as `cut_pieces` gives it.

    Raises:
        UserError: the labels do not fit the files, or a class has no usable piece.
    """
    labels, unlabelled = read_labels(receipt, settings, SUFFIXES)
    pieces, skipped = cut_pieces(receipt, labels, settings)
    _require_pieces(receipt, settings, labels, set(pieces), skipped)
    table = pd.DataFrame(rows_of(pieces, labels), columns=["item", "group", "sequence", "target"])
    if settings["split_folders"]:
        table["split"] = [split_of(receipt, file) for file in table["group"]]
    return Items(table, unit=unit_of(settings), skipped=unlabelled + skipped)


def _require_pieces(
    receipt: Receipt, settings: dict[str, Any], labels: dict[str, str], usable: set[str], skipped: Skipped
) -> None:
    classes = {label: str(receipt.root) for label in labels.values()}
    if not settings["labels"] and not settings["split_folders"]:  # an empty folder is a class as well
        folders = sorted(folder for folder in receipt.root.iterdir() if folder.is_dir())
        classes = {folder.name: str(folder) for folder in folders if not folder.name.startswith(".")}
    for label, where in classes.items():
        if not any(labels[file] == label for file in usable):
            first = next((f" ({entry['reason']})" for entry in skipped if labels[entry["input"]] == label), "")
            raise UserError(
                f"class {label!r} has no usable piece{first}: {where} needs MIDI files of it with at least {FEWEST_NOTES} "
                "notes; add some, or remove the class."
            )
