"""MIDI files, one folder per class, as sequences of pitches."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items

DRUMS = 9  # the channel on which numbers are instruments, not pitches (General MIDI, counted from 0)
FEWEST_NOTES = 8  # a shorter piece says nothing about who wrote it


def read(settings: dict[str, Any], receipt: Receipt) -> Items:
    """Cut each piece into segments of successive notes.

    Kao & Lee (2021) likewise feed only pitches, in blocks of 128 notes that do not overlap, and drop what is
    left over at the end.

    Args:
        settings: `segment` (notes in a segment) and `maximum_segments` (of one piece, from its beginning).
        receipt: files at `<class>/.../<piece>.mid`.

    Returns:
        One item per segment, grouped by piece; `sequence` is int32 [notes], MIDI numbers 0..127 in the order
        of (onset, pitch). A piece shorter than a segment is one shorter item, or skipped below 8 notes.

    Raises:
        UserError: a file is not MIDI or lies beside the class folders, or a class folder has no usable piece.
    """
    rows, skipped = [], []
    for file in receipt.files:
        label, *rest = Path(file).parts
        if not rest:
            raise UserError(f"{receipt.root / file} lies beside the class folders; move it into one of them, or away.")
        pitches = read_pitches(receipt.root / file)
        if len(pitches) < FEWEST_NOTES:
            skipped.append({"input": file, "reason": f"{len(pitches)} notes, fewer than {FEWEST_NOTES}"})
            continue
        count = min(len(pitches) // settings["segment"], settings["maximum_segments"])
        segments = np.split(pitches[: count * settings["segment"]], count) if count else [pitches]
        rows += [(f"{file}#{number}", file, segment, label) for number, segment in enumerate(segments)]
    table = pd.DataFrame(rows, columns=["item", "group", "sequence", "target"])
    _require_pieces(receipt, set(table["target"]))
    return Items(table, unit="notes", skipped=skipped)


def _require_pieces(receipt: Receipt, labels: set[str]) -> None:
    for folder in sorted(receipt.root.iterdir()):
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in labels:
            raise UserError(
                f"class {folder.name!r} has no usable piece: {folder} needs MIDI files of at least {FEWEST_NOTES} notes; "
                "add some, or remove the folder."
            )


def read_pitches(path: Path) -> np.ndarray:
    """The pitches of a MIDI file, int32 [notes], in the order of (onset, pitch); drums are left out.

    Raises:
        UserError: the file is not MIDI, or is damaged.
    """
    import mido

    try:
        tracks = mido.MidiFile(path).tracks
    except Exception as error:  # mido lets through whatever its parser stumbles over
        raise UserError(
            f"{path} is not a whole MIDI file ({type(error).__name__}: {error}); replace it, or remove it."
        ) from error
    notes = []
    for track in tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity and message.channel != DRUMS:
                notes.append((tick, message.note))
    return np.array([pitch for _, pitch in sorted(notes)], dtype=np.int32)
