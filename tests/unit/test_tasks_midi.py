from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.midi import read, read_pitches

SETTINGS = {"kind": "midi", "segment": 10, "maximum_segments": 2}


def write_midi(path: Path, *tracks: list[tuple[int, int]], channel: int = 0) -> Path:
    """Write tracks of (onset, pitch); every note sounds for one tick."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = mido.MidiFile()
    for notes in tracks:
        events = [(onset, 1, pitch) for onset, pitch in notes] + [(onset + 1, 0, pitch) for onset, pitch in notes]
        track, now = mido.MidiTrack(), 0
        for tick, on, pitch in sorted(events):
            velocity = 64 * on  # a note_on of velocity 0 ends a note
            track.append(mido.Message("note_on", channel=channel, note=pitch, velocity=velocity, time=tick - now))
            now = tick
        file.tracks.append(track)
    file.save(path)
    return path


def receipt_of(root: Path) -> Receipt:
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return Receipt("mine-0", root, tuple(files))


NOTES = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 127)), unique=True, max_size=30)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tracks=st.lists(NOTES, min_size=1, max_size=3))
def test_notes_come_in_the_order_of_onset_and_pitch(tmp_path, tracks):
    path = write_midi(tmp_path / "x.mid", *tracks)
    expected = [pitch for _, pitch in sorted(note for track in tracks for note in track)]
    pitches = read_pitches(path)
    assert pitches.dtype == np.int32
    assert pitches.tolist() == expected


def test_drums_are_no_pitches(tmp_path):
    assert len(read_pitches(write_midi(tmp_path / "x.mid", [(0, 60)], channel=9))) == 0


def test_segments_do_not_overlap_and_a_short_piece_is_one_shorter_item(tmp_path):
    write_midi(tmp_path / "a" / "long.mid", [(tick, tick) for tick in range(35)])
    write_midi(tmp_path / "a" / "short.mid", [(tick, 60) for tick in range(9)])
    write_midi(tmp_path / "b" / "sub" / "exact.mid", [(tick, 61) for tick in range(10)])
    write_midi(tmp_path / "b" / "tiny.mid", [(tick, 61) for tick in range(7)])
    items = read(SETTINGS, receipt_of(tmp_path))
    table = items.table.set_index("item")
    assert table["sequence"].map(list).to_dict() == {
        "a/long.mid#0": list(range(10)),
        "a/long.mid#1": list(range(10, 20)),
        "a/short.mid#0": [60] * 9,
        "b/sub/exact.mid#0": [61] * 10,
    }
    assert table["group"].nunique() == 3
    assert table["target"].tolist() == ["a", "a", "a", "b"]
    assert items.skipped == [{"input": "b/tiny.mid", "reason": "7 notes, fewer than 8"}]


@pytest.mark.parametrize(
    "content", [b"", b"Dear diary,", b"MThd", b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk\x00"]
)
def test_what_is_not_midi_is_refused_by_name(tmp_path, content):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_bytes(content)
    with pytest.raises(UserError, match=r"a/notes\.txt is not a whole MIDI file"):
        read(SETTINGS, receipt_of(tmp_path))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 200), byte=st.integers(0, 255), cut=st.integers(0, 200))
def test_damaged_midi_is_read_or_refused_but_never_crashes(tmp_path, position, byte, cut):
    content = bytearray(write_midi(tmp_path / "x.mid", [(tick, 60) for tick in range(20)]).read_bytes())
    content[position % len(content)] = byte
    (tmp_path / "x.mid").write_bytes(content[: len(content) - cut % len(content)])
    try:
        pitches = read_pitches(tmp_path / "x.mid")
    except UserError as error:
        assert "x.mid" in str(error)
    else:
        assert all(0 <= pitch <= 127 for pitch in pitches)


@pytest.mark.parametrize("notes", [[], [(0, 60)]])
def test_a_class_without_a_usable_piece_is_refused_by_name(tmp_path, notes):
    write_midi(tmp_path / "a" / "1.mid", [(tick, 60) for tick in range(10)])
    (tmp_path / "empty").mkdir()
    if notes:
        write_midi(tmp_path / "empty" / "2.mid", notes)
    with pytest.raises(UserError, match=r"class 'empty' has no usable piece: .*empty"):
        read(SETTINGS, receipt_of(tmp_path))


def test_a_file_beside_the_classes_is_refused(tmp_path):
    write_midi(tmp_path / "1.mid", [(0, 60)])
    with pytest.raises(UserError, match=r"1\.mid lies beside the class folders"):
        read(SETTINGS, receipt_of(tmp_path))
