"""Pieces of music cut into segments of successive notes."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.readers.labels import Skipped
from crossover.tasks.readers.midi_notes import read_notes

SUFFIXES = (".mid", ".midi")
FEWEST_NOTES = 8  # a shorter piece says nothing about who wrote it


def cut_pieces(
    receipt: Receipt, files: Iterable[str], settings: dict[str, Any]
) -> tuple[dict[str, list[np.ndarray]], Skipped]:
    """Cut MIDI files into segments that do not overlap; notes left over at the end are dropped.

    Kao & Lee (2021) likewise feed blocks of 128 notes.

    Args:
        receipt: where the files lie.
        files: the pieces.
        settings: `segment` (notes), `maximum_segments` (of one piece, from its beginning, or "all"), `content` ("pitches",
            or "notes") and `damaged` ("skip", or "refuse").

    Returns:
        The segments of each usable piece, int32 [notes] (MIDI numbers 0..127) or [notes * 4] (time since the onset before,
        pitch, duration, velocity; times in ms), in the order of (onset, pitch). A piece shorter than a segment is one shorter
        segment. And the pieces that are damaged or have less than 8 notes.

    Raises:
        UserError: a file is damaged, where that is not to be passed over.
    """
    pieces: dict[str, list[np.ndarray]] = {}
    skipped: Skipped = []
    for file in files:
        try:
            notes = read_notes(receipt.root / file)
        except UserError as error:
            if settings["damaged"] == "refuse":
                raise
            skipped.append({"input": file, "reason": str(error)})
            continue
        if len(notes) < FEWEST_NOTES:
            skipped.append({"input": file, "reason": f"{len(notes)} notes, fewer than {FEWEST_NOTES}"})
        else:
            pieces[file] = _segments(notes, settings)
    return pieces, skipped


def _segments(notes: np.ndarray, settings: dict[str, Any]) -> list[np.ndarray]:
    if settings["content"] == "pitches":
        values = notes[:, 1:2].astype(np.int32)
    else:
        values = notes.astype(np.int32)
        values[:, 0] = np.diff(notes[:, 0], prepend=notes[0, 0])
    count = len(values) // settings["segment"]
    if settings["maximum_segments"] != "all":
        count = min(count, settings["maximum_segments"])
    segments = np.split(values[: count * settings["segment"]], count) if count else [values]
    return [segment.ravel() for segment in segments]


def rows_of(pieces: dict[str, list[np.ndarray]], labels: dict[str, str]) -> list[tuple[str, str, np.ndarray, str]]:
    """Rows (item, group, sequence, target) of all segments."""
    return [
        (f"{file}#{number}", file, segment, labels[file])
        for file, segments in pieces.items()
        for number, segment in enumerate(segments)
    ]


def unit_of(settings: dict[str, Any]) -> str:
    """What one position of a sequence is."""
    return "notes" if settings["content"] == "pitches" else "numbers (four per note)"
