"""Pieces of music, cut into segments of successive notes."""

from collections.abc import Iterable

import numpy as np

from crossover.alphabets import WHOLE_NOTES
from crossover.config.media_readers import SegmentOptions
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt, SkippedInput
from crossover.tasks.readers.midi_notes import read_notes

SUFFIXES = (".mid", ".midi")
MIN_NOTES = 8  # a shorter piece says nothing about who wrote it


def cut_pieces(
    receipt: Receipt, files: Iterable[str], options: SegmentOptions
) -> tuple[dict[str, list[np.ndarray]], list[SkippedInput]]:
    """Cut MIDI files into segments that do not overlap; notes left over at the end are dropped.

    Kao & Lee (2021) likewise use blocks of 128 notes.

    Args:
        receipt: of the raw files.
        files: the pieces.
        options: how they are cut.

    Returns:
        The segments of each usable piece, int32 [notes] (MIDI numbers 0..127) or [notes * 4] (time since the previous onset,
        pitch, duration, velocity; times in ms), ordered by onset and pitch; a piece shorter than a segment is one shorter
        segment. And the pieces that are damaged or have less than 8 notes.

    Raises:
        UserError: a file is damaged, and is not to be skipped.
    """
    pieces: dict[str, list[np.ndarray]] = {}
    skipped: list[SkippedInput] = []
    for file in files:
        try:
            notes = read_notes(receipt.root / file)
        except UserError as error:
            if options.damaged == "refuse":
                raise
            skipped.append(SkippedInput(input=file, reason=str(error)))
            continue
        if len(notes) < MIN_NOTES:
            skipped.append(SkippedInput(input=file, reason=f"{len(notes)} notes, fewer than {MIN_NOTES}"))
        else:
            pieces[file] = _segments(notes, options)
    return pieces, skipped


def _segments(notes: np.ndarray, options: SegmentOptions) -> list[np.ndarray]:
    if options.content == "pitches":
        values = notes[:, 1:2].astype(np.int32)
    else:
        values = notes.astype(np.int32)
        values[:, 0] = np.diff(notes[:, 0], prepend=notes[0, 0])
    count = len(values) // options.segment
    if options.maximum_segments != "all":
        count = min(count, options.maximum_segments)
    segments = np.split(values[: count * options.segment], count) if count else [values]
    return [segment.ravel() for segment in segments]


def rows_of(pieces: dict[str, list[np.ndarray]], labels: dict[str, str]) -> list[tuple[str, str, np.ndarray, str]]:
    """Return one row (item, group, sequence, target) per segment."""
    return [
        (f"{file}#{number}", file, segment, labels[file])
        for file, segments in pieces.items()
        for number, segment in enumerate(segments)
    ]


def unit_of(options: SegmentOptions) -> str:
    """Return what one position of a sequence is."""
    return "notes" if options.content == "pitches" else WHOLE_NOTES
