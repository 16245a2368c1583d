"""MIDI files with labels by folder or in a table, as segments of notes."""

import pandas as pd

from crossover.config.media_readers import MidiReader
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt, SkippedInput
from crossover.tasks.items import Items
from crossover.tasks.readers.labels import read_labels, split_of
from crossover.tasks.readers.pieces import MIN_NOTES, SUFFIXES, cut_pieces, rows_of, unit_of


def read(reader: MidiReader, receipt: Receipt) -> Items:
    """Cut each piece into segments of successive notes.

    Args:
        reader: its settings.
        receipt: of files at `<class>/.../<piece>.mid` or `<split>/<class>/.../<piece>.mid`, or anywhere with a table of
            labels.

    Returns:
        One item per segment, grouped by piece; `sequence` as `cut_pieces` returns it.

    Raises:
        UserError: the labels do not match the files, or a class has no usable piece.
    """
    labels, unlabelled = read_labels(reader, receipt, SUFFIXES)
    pieces, skipped = cut_pieces(receipt, labels, reader)
    _require_pieces(reader, receipt, labels, set(pieces), skipped)
    table = pd.DataFrame(rows_of(pieces, labels), columns=["item", "group", "sequence", "target"])
    if reader.split_folders:
        table["split"] = [split_of(receipt, file) for file in table["group"]]
    return Items(table, unit=unit_of(reader), skipped=unlabelled + skipped)


def _require_pieces(
    reader: MidiReader, receipt: Receipt, labels: dict[str, str], usable: set[str], skipped: list[SkippedInput]
) -> None:
    """Raise unless every class has a usable piece."""
    classes = {label: str(receipt.root) for label in labels.values()}
    if not reader.labels and not reader.split_folders:  # an empty folder is a class too
        folders = sorted(folder for folder in receipt.root.iterdir() if folder.is_dir())
        classes = {folder.name: str(folder) for folder in folders if not folder.name.startswith(".")}
    for label, where in classes.items():
        if not any(labels[file] == label for file in usable):
            first = next((f" ({one.reason})" for one in skipped if labels[one.input] == label), "")
            raise UserError(
                f"class {label!r} has no usable piece{first}: put MIDI files with at least {MIN_NOTES} notes into "
                f"{where}, or remove the class."
            )
