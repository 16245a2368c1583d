import csv
import shutil
import zipfile
from pathlib import Path

import mido
import numpy as np
import pandas as pd
import pretty_midi
import pytest
from committed_tasks import receipt_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossover.alphabets import WHOLE_NOTES
from crossover.config.media_readers import MaestroReader, MidiReader
from crossover.errors import UserError
from crossover.specs.descriptions import SkippedInput
from crossover.tasks.readers import maestro
from crossover.tasks.readers.midi import read
from crossover.tasks.readers.midi_notes import read_notes
from crossover.tasks.readers.pieces import cut_pieces
from crossover.tasks.readers.rows import read_plain

READER = MidiReader(kind="midi", segment=10, maximum_segments=2)


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


NOTES = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 127)), unique=True, max_size=30)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tracks=st.lists(NOTES, min_size=1, max_size=3))
def test_notes_come_in_the_order_of_onset_and_pitch(tmp_path, tracks):
    path = write_midi(tmp_path / "x.mid", *tracks)
    expected = [pitch for _, pitch in sorted(note for track in tracks for note in track)]
    assert read_notes(path)[:, 1].tolist() == expected


def test_drums_are_no_pitches(tmp_path):
    assert len(read_notes(write_midi(tmp_path / "x.mid", [(0, 60)], channel=9))) == 0


def test_segments_do_not_overlap_and_a_short_piece_is_one_shorter_item(tmp_path):
    write_midi(tmp_path / "a" / "long.mid", [(tick, tick) for tick in range(35)])
    write_midi(tmp_path / "a" / "short.mid", [(tick, 60) for tick in range(9)])
    write_midi(tmp_path / "b" / "sub" / "exact.mid", [(tick, 61) for tick in range(10)])
    write_midi(tmp_path / "b" / "tiny.mid", [(tick, 61) for tick in range(7)])
    items = read(READER, receipt_of(tmp_path))
    table = items.table.set_index("item")
    assert table["sequence"].map(list).to_dict() == {
        "a/long.mid#0": list(range(10)),
        "a/long.mid#1": list(range(10, 20)),
        "a/short.mid#0": [60] * 9,
        "b/sub/exact.mid#0": [61] * 10,
    }
    assert table["group"].nunique() == 3
    assert table["target"].tolist() == ["a", "a", "a", "b"]
    assert items.skipped == [SkippedInput(input="b/tiny.mid", reason="7 notes, fewer than 8")]


@pytest.mark.parametrize(
    "content", [b"", b"Dear diary,", b"MThd", b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk\x00"]
)
def test_what_is_not_midi_is_refused_by_name(tmp_path, content):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.mid").write_bytes(content)
    with pytest.raises(UserError, match=r"class 'a' has no usable piece \(.*a/notes\.mid is not a complete MIDI file"):
        read(READER, receipt_of(tmp_path))
    with pytest.raises(UserError, match=r"^\S*a/notes\.mid is not a complete MIDI file"):
        read(READER.model_copy(update={"damaged": "refuse"}), receipt_of(tmp_path))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 200), byte=st.integers(0, 255), cut=st.integers(0, 200))
def test_damaged_midi_is_read_or_refused_but_never_crashes(tmp_path, position, byte, cut):
    content = bytearray(write_midi(tmp_path / "x.mid", [(tick, 60) for tick in range(20)]).read_bytes())
    content[position % len(content)] = byte
    (tmp_path / "x.mid").write_bytes(content[: len(content) - cut % len(content)])
    try:
        notes = read_notes(tmp_path / "x.mid")
    except UserError as error:
        assert "x.mid" in str(error)
    else:
        assert (notes >= 0).all()
        assert (notes[:, [1, 3]] <= 127).all()


@pytest.mark.parametrize("notes", [[], [(0, 60)]])
def test_a_class_without_a_usable_piece_is_refused_by_name(tmp_path, notes):
    write_midi(tmp_path / "a" / "1.mid", [(tick, 60) for tick in range(10)])
    (tmp_path / "empty").mkdir()
    if notes:
        write_midi(tmp_path / "empty" / "2.mid", notes)
    with pytest.raises(UserError, match=r"class 'empty' has no usable piece.*: .*empty"):
        read(READER, receipt_of(tmp_path))


def test_a_file_beside_the_classes_is_refused(tmp_path):
    write_midi(tmp_path / "1.mid", [(0, 60)])
    with pytest.raises(UserError, match=r"1\.mid is not in a class folder"):
        read(READER, receipt_of(tmp_path))


# --- real files -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def pieces(mirrored, tmp_path_factory) -> Path:
    """The mirror's MIDI files, in the folders of their archives."""
    folder = tmp_path_factory.mktemp("pieces")
    for name in ("maestro/maestro-v3.0.0-midi.zip.subset", "piano-midi.de/piano-midi.de.zip.subset"):
        with zipfile.ZipFile(mirrored(name)) as archive:
            archive.extractall(folder)
    return folder


def every(pieces: Path, step: int) -> list[Path]:
    files = sorted(pieces.rglob("*.mid*"))
    assert len(files) == 256 + 224
    return files[::step]


def test_pitches_are_those_of_mido(pieces):
    for path in every(pieces, 32):
        notes = []
        for track in mido.MidiFile(path).tracks:
            tick = 0
            for message in track:
                tick += message.time
                if message.type == "note_on" and message.velocity and message.channel != 9:
                    notes.append((tick, message.note))
        assert read_notes(path)[:, 1].tolist() == [pitch for _, pitch in sorted(notes)], path


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_notes_are_those_of_pretty_midi(pieces):
    for path in every(pieces, 24):
        parts = [part for part in pretty_midi.PrettyMIDI(str(path)).instruments if not part.is_drum]
        theirs = [
            (note.start * 1000, note.pitch, note.end * 1000, note.velocity) for part in parts for note in part.notes
        ]
        own = read_notes(path)
        own[:, 2] += own[:, 0]
        rounded = np.rint(np.array(sorted((round(start), *rest) for start, *rest in theirs)))
        assert np.abs(np.array(sorted(own.tolist())) - rounded).max() <= 1, path


def test_a_whole_piece_is_cut_and_its_tail_is_dropped(pieces):
    reader = MidiReader(kind="midi", segment=128, maximum_segments="all")
    items = read(reader, receipt_of(pieces / "piano-midi.de"))
    assert items.skipped == []
    assert set(items.table["sequence"].map(len)) <= {128} | set(range(8, 128))
    for file, segments in list(items.table.groupby("group")["sequence"])[::40]:
        pitches = read_notes(pieces / "piano-midi.de" / file)[:, 1]
        whole = len(pitches) - len(pitches) % 128
        assert np.concatenate(segments.to_list()).tolist() == pitches[:whole].tolist()


def test_notes_in_full_can_be_played_again(pieces):
    reader = MidiReader(kind="midi", segment=64, maximum_segments="all", content="notes")
    root = pieces / "piano-midi.de"
    file = sorted(path.relative_to(root) for path in root.rglob("*.mid"))[0].as_posix()
    receipt = receipt_of(root)
    assert read(reader, receipt).unit == WHOLE_NOTES
    segments = cut_pieces(receipt, [file], reader)[0][file]
    assert all(segment.dtype == np.int32 for segment in segments)
    played = np.concatenate(segments).reshape(-1, 4)
    notes = read_notes(root / file)[: len(played)]
    assert (np.cumsum(played[:, 0]) + notes[0, 0] == notes[:, 0]).all()
    assert (played[:, 1:] == notes[:, 1:]).all()


def test_corrupt_pieces_and_empty_ones_are_named_among_good_ones(pieces, tmp_path):
    good = every(pieces, 1)[300:303]
    for number, path in enumerate(good):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "ab"[number % 2] / f"{number}.mid")
    content = good[0].read_bytes()
    (tmp_path / "a" / "cut.mid").write_bytes(content[: len(content) // 2])
    (tmp_path / "a" / "page.mid").write_bytes(b"<!DOCTYPE html><title>404</title>")
    mido.MidiFile(tracks=[mido.MidiTrack()]).save(tmp_path / "b" / "silent.mid")
    items = read(READER, receipt_of(tmp_path))
    reasons = {entry.input: entry.reason for entry in items.skipped}
    assert reasons.keys() == {"a/cut.mid", "a/page.mid", "b/silent.mid"}
    assert "a/cut.mid is not a complete MIDI file (it ends too early)" in reasons["a/cut.mid"]
    assert "it does not begin with a MIDI header" in reasons["a/page.mid"]
    assert reasons["b/silent.mid"] == "0 notes, fewer than 8"
    assert sorted(set(items.table["group"])) == ["a/0.mid", "a/2.mid", "b/1.mid"]
    with pytest.raises(UserError, match=r"a/cut\.mid is not a complete MIDI file"):
        read(READER.model_copy(update={"damaged": "refuse"}), receipt_of(tmp_path))


def test_files_of_other_kinds_are_left_out_by_name(tmp_path):
    write_midi(tmp_path / "a" / "1.MID", [(tick, 60) for tick in range(10)])
    for name in ("README.txt", "a/cover.jpg"):
        (tmp_path / name).write_bytes(b"x")
    items = read(READER, receipt_of(tmp_path))
    assert items.table["item"].tolist() == ["a/1.MID#0"]
    assert [entry.input for entry in items.skipped] == ["README.txt", "a/cover.jpg"]


def test_folders_of_splits_hold_folders_of_classes(tmp_path):
    for name in ("Train/a/1.mid", "valid/a/2.mid", "test/b/sub/3.mid"):
        write_midi(tmp_path / name, [(tick, 60) for tick in range(10)])
    items = read(READER.model_copy(update={"split_folders": True}), receipt_of(tmp_path))
    assert items.table[["group", "target", "split"]].to_numpy().tolist() == [
        ["Train/a/1.mid", "a", "train"],
        ["test/b/sub/3.mid", "b", "test"],
        ["valid/a/2.mid", "a", "validation"],
    ]
    write_midi(tmp_path / "tset/b/4.mid", [(tick, 60) for tick in range(10)])
    with pytest.raises(UserError, match=r"tset/b/4\.mid: the split 'tset' is unknown; did you mean test"):
        read(READER.model_copy(update={"split_folders": True}), receipt_of(tmp_path))


# --- labels in a table ------------------------------------------------------------------------------------------

TABLED = MidiReader(kind="midi", segment=10, labels={"file": "who.csv", "item": "midi", "target": "composer"})


def test_labels_come_from_a_table(tmp_path):
    for name in ("1.mid", "sub/2.mid", "3.mid"):
        write_midi(tmp_path / name, [(tick, 60) for tick in range(10)])
    (tmp_path / "who.csv").write_text('composer,midi\n"Bach, J. S.",1.mid\nSatie,sub/2.mid\n')
    items = read(TABLED, receipt_of(tmp_path))
    assert dict(zip(items.table["group"], items.table["target"], strict=True)) == {
        "1.mid": "Bach, J. S.",
        "sub/2.mid": "Satie",
    }
    assert items.skipped == [SkippedInput(input="3.mid", reason="not in who.csv")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"has no file who\.csv"),
        (b"composer,file\nBach,1.mid\n", r"who\.csv has no column 'midi'; known: composer, file"),
        (b"composer,midi\nBach,1.mid\nBach,9.mid\n", r"who\.csv, line 3: 9\.mid does not exist"),
        (b"composer,midi\nBach,1.mid\nSatie,1.mid\n", r"who\.csv, line 3: 1\.mid is named a second time"),
        (b"composer,midi\n ,1.mid\n", r"who\.csv, line 2: composer is empty"),
        (b"composer,midi\nBach,1.mid,2\n", r"who\.csv, line 2: 3 values, but the header has 2 columns"),
        (b"composer,midi\n\xff,1.mid\n", r"who\.csv, line 2: byte 14 is 0xff, which is not utf-8"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_line(tmp_path, text, message):
    write_midi(tmp_path / "1.mid", [(tick, 60) for tick in range(10)])
    if text is not None:
        (tmp_path / "who.csv").write_bytes(text)
    with pytest.raises(UserError, match=message):
        read(TABLED, receipt_of(tmp_path))


# --- MAESTRO ----------------------------------------------------------------------------------------------------

MAESTRO = MaestroReader(kind="maestro", segment=128, maximum_segments="all")


def test_maestro_is_what_its_table_says(pieces):
    root = pieces / "maestro-v3.0.0"
    with next(root.glob("*.csv")).open(encoding="utf-8") as stream:
        rows = {row["midi_filename"]: row for row in csv.DictReader(stream)}
    items = maestro.read(MAESTRO, receipt_of(pieces / "maestro-v3.0.0"))
    assert len(rows) == items.table["group"].nunique() == 256
    assert items.skipped == []
    for file, first in items.table.drop_duplicates("group").set_index("group").iterrows():
        assert (first["target"], first["split"]) == (rows[file]["canonical_composer"], rows[file]["split"])
    expected = sum(max(1, len(read_notes(root / file)) // 128) for file in list(rows)[:8])
    assert items.table["group"].isin(list(rows)[:8]).sum() == expected


def test_the_published_table_of_maestro_is_whole(mirrored):
    columns = ["canonical_composer", "split", "midi_filename"]
    rows = [row for _, row in read_plain(mirrored("maestro/maestro-v3.0.0.csv"), columns)]
    table = pd.DataFrame(rows, columns=columns)
    assert table["split"].value_counts().to_dict() == {"train": 962, "validation": 137, "test": 177}
    assert table["midi_filename"].is_unique
    untaught = set(table["canonical_composer"]) - set(table.loc[table["split"] == "train", "canonical_composer"])
    assert untaught == {"Franz Liszt / Vladimir Horowitz", "Richard Wagner / Franz Liszt"}


def small_maestro(folder: Path, *rows: tuple[str, str]) -> Path:
    lines = ["canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration"]
    for number, (composer, split) in enumerate(rows):
        write_midi(folder / f"maestro-v1.0.0/2018/{number}.midi", [(tick, 60) for tick in range(130)])
        lines.append(f"{composer},Etude,{split},2018,2018/{number}.midi,2018/{number}.wav,1.0")
    (folder / "maestro-v1.0.0/maestro-v1.0.0.csv").write_text("\n".join(lines))
    return folder


def test_rare_composers_are_kept_unless_told(tmp_path):
    rows = [("Bach", "train"), ("Bach", "test"), ("Satie", "test"), ("Berg", "train")]
    receipt = receipt_of(small_maestro(tmp_path, *rows))
    items = maestro.read(MAESTRO, receipt)
    assert items.table["target"].tolist() == ["Bach", "Bach", "Satie", "Berg"]
    assert items.table["split"].tolist() == ["train", "test", "test", "train"]
    items = maestro.read(MAESTRO.model_copy(update={"minimum_pieces": 2}), receipt)
    assert items.table["target"].tolist() == ["Bach", "Bach"]
    assert items.skipped == [
        SkippedInput(input=f"maestro-v1.0.0/2018/{number}.midi", reason=f"{composer} has fewer than 2 performances")
        for number, composer in ((2, "Satie"), (3, "Berg"))
    ]


def test_maestro_without_its_table_is_refused(tmp_path):
    write_midi(tmp_path / "2018" / "1.midi", [(0, 60)])
    with pytest.raises(UserError, match="has 0 csv files, but MAESTRO has one"):
        maestro.read(MAESTRO, receipt_of(tmp_path))
