"""The notes of Standard MIDI Files (MIDI Manufacturers Association 1996, RP-001).

This is a parser of its own because the libraries are slow or disagree. mido, which makes an object of every message, takes
several times as long. symusic is ten times as fast, but pairs note-on and note-off messages first in, first out, drops notes
of repeated keys, and lets others sound until a later release: of 720 files of MAESTRO, piano-midi.de and music21 it reads other
notes in 39, and other pitches in 16. Tests compare this parser with mido and pretty_midi (which leaves out notes without a
note-off) note by note on real files.
"""

from pathlib import Path

import numpy as np

from crossover.errors import UserError

DRUM_CHANNEL = 9  # its numbers are instruments, not pitches (General MIDI, counted from 0)
PITCHES = 128  # per channel
MAX_DELTA = 2**28 - 1
DEFAULT_TEMPO = 500_000  # microseconds per quarter note
DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}  # of a message, by its status


def read_notes(path: Path) -> np.ndarray:
    """Return the notes of a MIDI file without drums, ordered by onset and pitch.

    A note ends with the next note-off of its pitch, or with its track. If a pitch is struck again before, both notes end
    there.

    Returns:
        int64 [notes, 4]: onset in ms, pitch 0..127, duration in ms, velocity 1..127.

    Raises:
        UserError: the file is not MIDI, or is damaged.
    """
    try:
        ticks, tempos, division = _parse(path.read_bytes())
    except (ValueError, IndexError) as error:
        reason = "it ends too early" if isinstance(error, IndexError) else error
        raise UserError(f"{path} is not a complete MIDI file ({reason}); replace or remove it.") from error
    order = np.lexsort((ticks[:, 1], ticks[:, 0]))
    onsets, pitches, ends, velocities = ticks[order].T
    start, end = (_milliseconds(times, tempos, division) for times in (onsets, ends))
    return np.stack([start, pitches, end - start, velocities], axis=1)


def _parse(data: bytes) -> tuple[np.ndarray, list[tuple[int, int]], int]:
    """Parse a file.

    Returns:
        Notes, int64 [notes, 4]: onset, pitch, end, velocity; times in ticks. Tempos: tick, and microseconds per quarter note.
        The time division.
    """
    if data[:4] != b"MThd" or len(data) < 14:
        raise ValueError("it does not begin with a MIDI header")
    tracks, division = int.from_bytes(data[10:12]), int.from_bytes(data[12:14], signed=True)
    if not division:
        raise ValueError("its time division is 0")
    place = 8 + int.from_bytes(data[4:8])
    notes: list[tuple[int, int, int, int]] = []
    tempos = [(0, DEFAULT_TEMPO)]
    while tracks:
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8])
        place += 8
        if place + size > len(data) or len(name) < 4:
            raise IndexError
        if name == b"MTrk":  # anything else is an extension, to be skipped
            _parse_track(data, place, place + size, notes, tempos)
            tracks -= 1
        place += size
    ticks = np.array(notes, dtype=np.int64).reshape(-1, 4)
    if (ticks[:, [1, 3]] > 127).any():
        raise ValueError("a note has a number above 127")
    return ticks, sorted(tempos, key=lambda tempo: tempo[0]), division


def _parse_track(
    data: bytes, place: int, end: int, notes: list[tuple[int, int, int, int]], tempos: list[tuple[int, int]]
) -> None:
    """Append the notes and tempos of the track in `data[place:end]`. This is one flat loop because it takes all the time."""
    tick = running = 0
    sounding: dict[int, list[tuple[int, int]]] = {}
    while place < end:
        delta, place = _variable(data, place)
        tick += delta
        status = data[place]
        if status < 0x80:
            status = running
        else:
            place += 1
        kind = status & 0xF0
        if kind == 0x90 or kind == 0x80:
            running = status
            pitch, velocity = data[place], data[place + 1]
            place += 2
            channel = status & 0x0F
            if channel == DRUM_CHANNEL:
                continue
            key = channel * PITCHES + pitch
            if kind == 0x90 and velocity:
                sounding.setdefault(key, []).append((tick, velocity))
            else:
                struck = sounding.pop(key, [])
                notes.extend((onset, pitch, tick, strength) for onset, strength in struck if onset < tick)
                if struck and struck[-1][0] == tick:  # struck at the same tick: the note-off is that of an earlier note
                    sounding[key] = [note for note in struck if note[0] == tick]
        elif kind in DATA_BYTES:
            running = status
            place += DATA_BYTES[kind]
        elif status in (0xFF, 0xF0, 0xF7):  # meta events and system exclusive messages, which state their length
            what = data[place] if status == 0xFF else None
            size, place = _variable(data, place + (status == 0xFF))
            if what == 0x51:
                tempos.append((tick, int.from_bytes(data[place : place + min(size, 3)])))
            place += size
        else:
            raise ValueError(f"byte {place} is not a valid status")
    if place > end:
        raise IndexError
    notes.extend(
        (onset, key % PITCHES, tick, strength) for key, struck in sounding.items() for onset, strength in struck
    )


def _variable(data: bytes, place: int) -> tuple[int, int]:
    """Return the variable-length quantity at `place` (7 bits per byte), and the place after it."""
    byte = data[place]
    place += 1
    number = byte & 0x7F
    while byte > 0x7F:
        byte = data[place]
        place += 1
        number = number << 7 | byte & 0x7F
        if number > MAX_DELTA:
            raise ValueError(f"the number at byte {place} is too large")
    return number, place


def _milliseconds(ticks: np.ndarray, tempos: list[tuple[int, int]], division: int) -> np.ndarray:
    """Return the time of each tick in ms, int64 [ticks]."""
    if division < 0:  # ticks per frame, and frames per second
        frames, of_a_frame = -(division >> 8), division & 0xFF
        return _rounded(ticks * 1000 / (frames * max(1, of_a_frame)))
    starts, lengths = np.array(tempos, dtype=np.float64).T
    elapsed = np.concatenate([[0], np.cumsum(np.diff(starts) * lengths[:-1])])
    last = np.searchsorted(starts, ticks, side="right") - 1
    return _rounded((elapsed[last] + (ticks - starts[last]) * lengths[last]) / division / 1000)


def _rounded(times: np.ndarray) -> np.ndarray:
    whole: np.ndarray = np.rint(times).astype(np.int64)
    return whole
