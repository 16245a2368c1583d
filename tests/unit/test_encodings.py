import string
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_cards import card_of

from crossover.alphabets import DNA, PROTEIN
from crossover.config.tasks import Target
from crossover.encodings.encoder import truncate
from crossover.encodings.patches import cut_images, cut_series, paste_images
from crossover.encodings.symbols import UNKNOWN, Characters, Letters, Pitches, Words, make_alphabet
from crossover.encodings.tokenize import tokenize_task
from crossover.encodings.tokens import Tokens
from crossover.errors import UserError
from crossover.files import sha256, write_parquet
from crossover.specs.descriptions import SPLITS, EncodedTarget, EncodingDescription
from crossover.specs.tasks import TokensSpec

TEXT = pa.large_string()
WORDS = st.lists(st.sampled_from(["[MIN", "]", "0", "9", "é"]), min_size=1, max_size=9).map(" ".join)


# --- symbols ----------------------------------------------------------------------------------------------------


def check_round_trip(alphabet, sequences, column, longest):
    ids, lengths = truncate(*alphabet.encode(column), longest)
    assert ids.dtype == np.uint16
    assert ids.max() < len(alphabet.vocabulary)
    parts = np.split(ids, np.cumsum(lengths)[:-1])
    for sequence, part in zip(sequences, parts, strict=True):
        decoded = alphabet.decode(part)
        if isinstance(alphabet, Words):
            assert decoded.split(" ") == sequence.split(" ")[:longest]
        else:
            assert decoded == sequence[:longest]


@given(sequences=st.lists(st.text(DNA, min_size=1, max_size=12), min_size=1), longest=st.integers(1, 12))
def test_dna_round_trip(sequences, longest):
    check_round_trip(Letters(DNA), sequences, pa.array(sequences, TEXT), longest)


@given(sequences=st.lists(st.text(PROTEIN, min_size=1, max_size=12), min_size=1), longest=st.integers(1, 12))
def test_protein_round_trip(sequences, longest):
    check_round_trip(Letters(PROTEIN), sequences, pa.array(sequences, TEXT), longest)


@given(sequences=st.lists(st.lists(st.integers(0, 127), min_size=1, max_size=9), min_size=1), longest=st.integers(1, 9))
def test_pitches_round_trip(sequences, longest):
    check_round_trip(Pitches(), sequences, pa.array(sequences, pa.list_(pa.int32())), longest)


@given(sequences=st.lists(WORDS, min_size=1), longest=st.integers(1, 9))
def test_words_round_trip(sequences, longest):
    column = pa.array(sequences, TEXT)
    check_round_trip(Words.of([column]), sequences, column, longest)


@given(sequences=st.lists(st.text(min_size=1, max_size=12), min_size=1), longest=st.integers(1, 12))
def test_characters_round_trip(sequences, longest):
    column = pa.array(sequences, TEXT)
    check_round_trip(Characters.of([column]), sequences, column, longest)


@given(text=st.text(string.ascii_letters + "*-", min_size=1))
def test_unknown_letters_become_the_last_one_and_case_does_not_matter(text):
    ids, _ = Letters(PROTEIN).encode(pa.array([text], TEXT))
    expected = "".join(letter if letter in PROTEIN else "X" for letter in text.upper())
    assert Letters(PROTEIN).decode(ids) == expected


def test_a_slice_of_a_column_is_encoded_by_itself():
    column = pa.array(["AAAA", "CG", "T"], TEXT)[1:]
    ids, lengths = Letters(DNA).encode(column)
    assert (ids.tolist(), lengths.tolist()) == ([1, 2, 3], [2, 1])


def test_words_are_those_of_training_sorted_and_others_are_unknown():
    alphabet = make_alphabet("whitespace", pa.table({"sequence": pa.array(["b a", "a c"], TEXT)}))
    assert alphabet.vocabulary == ["a", "b", "c", UNKNOWN]
    ids, _ = alphabet.encode(pa.array([f"a z {UNKNOWN}"], TEXT))
    assert ids.tolist() == [0, 3, 3]


def test_characters_are_those_of_training_and_others_are_unknown():
    alphabet = make_alphabet("characters", pa.table({"sequence": pa.array(["bé", "a😀"], TEXT)}))
    assert alphabet.vocabulary == ["a", "b", "é", "😀", UNKNOWN]
    ids, lengths = alphabet.encode(pa.array(["a", "Bé", "z😀"], TEXT))
    assert (ids.tolist(), lengths.tolist()) == ([0, 4, 2, 4, 3], [1, 2, 2])


def test_what_no_alphabet_can_hold_is_refused():
    with pytest.raises(UserError, match="not an ASCII letter"):
        Letters(DNA).encode(pa.array(["ACé"], TEXT))
    with pytest.raises(UserError, match="pitch outside 0 to 127"):
        Pitches().encode(pa.array([[128]], pa.list_(pa.int32())))


def test_more_symbols_than_fit_into_two_bytes_take_four():
    column = pa.array([" ".join(map(str, range(70_000)))], TEXT)
    alphabet = Words.of([column])
    ids, _ = alphabet.encode(column)
    assert ids.dtype == np.uint32
    assert alphabet.decode(ids) == column[0].as_py()


# --- patches ----------------------------------------------------------------------------------------------------


@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    height=st.integers(1, 3),
    width=st.integers(1, 3),
    channels=st.sampled_from([1, 3]),
    count=st.integers(1, 3),
)
def test_images_round_trip(rows, columns, height, width, channels, count):
    shape, patch = [rows * height, columns * width, channels], [height, width]
    pixels = np.arange(count * np.prod(shape), dtype=np.float32).reshape(count, *shape)
    patches = cut_images(pixels, patch)
    assert patches.shape == (count * rows * columns, height * width * channels)
    assert (paste_images(patches, shape, patch) == pixels).all()


def test_patches_go_from_left_to_right_and_from_top_to_bottom():
    patches = cut_images(np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1), [2, 2])
    assert patches.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


@given(counts=st.lists(st.integers(1, 5), min_size=1), patch=st.integers(1, 4))
def test_series_keep_their_values(counts, patch):
    lengths = np.array(counts) * patch
    values = np.arange(lengths.sum(), dtype=np.float32)
    patches, positions = cut_series(values, lengths, [patch])
    assert (patches.ravel() == values).all()
    assert positions.tolist() == counts


@pytest.mark.parametrize("patch", [[3, 2], [2, 3], [4]])
def test_a_patch_that_does_not_divide_the_image_is_refused(patch):
    with pytest.raises(UserError, match="does not divide images of 8 x 8"):
        cut_images(np.zeros((1, 8, 8, 1), dtype=np.float32), patch)


@pytest.mark.parametrize("patch", [[4], [1, 2]])
def test_a_patch_that_does_not_divide_a_series_is_refused(patch):
    with pytest.raises(UserError, match="does not divide series of 4 to 6 values"):
        cut_series(np.zeros(10, dtype=np.float32), np.array([4, 6]), patch)


# --- a whole task -----------------------------------------------------------------------------------------------


def make_task(folder, sequences, targets, shape=None, unit="letters"):
    """A prepared task with the same items in each split."""
    names = [f"i{number}" for number in range(len(sequences))]
    table = pd.DataFrame(
        {"item": names, "group": names, "sequence": pd.Series(sequences), "target": pd.Series(targets)}
    )
    for split in SPLITS:
        write_parquet(folder / f"{split}.parquet", table)
    digests = {f"{split}.parquet": sha256(folder / f"{split}.parquet") for split in SPLITS}
    kind = "class" if isinstance(targets[0], str) else "bits"
    card_of(target=Target(kind=kind), unit=unit, shape=shape, sha256=digests).write(folder / "card.json")
    return folder


def spec_of(encoding) -> TokensSpec:
    return TokensSpec(name="t-0", task="t", encoding=encoding, code={})


def tokenize(tmp_path, encoding, sequences, targets, **card):
    task = make_task(tmp_path / "task", sequences, targets, **card)
    tokenize_task(spec_of(encoding), task, tmp_path / "tokens")
    return tmp_path / "tokens"


DNA_ENCODING = {"kind": "symbols", "alphabet": "dna", "max_length": 4}


@pytest.fixture
def dna(tmp_path):
    return tokenize(tmp_path, DNA_ENCODING, ["ACGTACGT", "AC", "NNT", "ttR"], ["b", "a", "c", "a"])


def test_tokens_hold_what_the_task_holds(dna):
    description = EncodingDescription.load(dna / "encoding.json")
    assert description.vocabulary == tuple(DNA)
    assert description.target == EncodedTarget(kind="class", classes=("a", "b", "c"))
    assert description.longest == 4
    assert description.items == dict.fromkeys(SPLITS, 4)
    assert description.truncated == dict.fromkeys(SPLITS, 0.25)
    assert description.truncated_items == dict.fromkeys(SPLITS, 1)
    assert description.unknown == dict.fromkeys(SPLITS, 3)
    assert (description.kind, description.width, description.floor) == ("symbols", None, 0.5)
    tokens = Tokens.open(dna, "test")
    assert tokens.lengths.tolist() == [4, 2, 3, 3]
    values, mask, targets = tokens.gather(np.array([3, 1]))
    assert values.tolist() == [[3, 3, 4], [0, 1, 0]]
    assert mask.tolist() == [[True, True, True], [True, True, False]]
    assert targets.tolist() == [0, 0]
    assert pd.read_parquet(dna / "test.items.parquet")["item"].tolist() == ["i0", "i1", "i2", "i3"]


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=10),
    picks=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    width=st.sampled_from([None, 3]),
)
def test_gather_is_right_whatever_the_lengths(lengths, picks, width):
    shape = (sum(lengths),) if width is None else (sum(lengths), width)
    values = np.random.default_rng(0).integers(1, 100, shape).astype(np.uint16 if width is None else np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    indices = np.array(picks) % len(lengths)
    tokens = Tokens(values, offsets, np.arange(len(lengths)), np.diff(offsets))
    padded, mask, targets = tokens.gather(indices)
    assert padded.shape[:2] == mask.shape == (len(indices), max(lengths[index] for index in indices))
    assert targets.tolist() == indices.tolist()
    for row, index in enumerate(indices):
        item = values[offsets[index] : offsets[index + 1]]
        assert (padded[row, : len(item)] == item).all()
        assert not padded[row, len(item) :].any()
        assert mask[row].sum() == len(item)


def test_gather_leaves_the_stored_values_alone(dna):
    tokens = Tokens.open(dna, "train")
    before = tokens.values.copy()
    tokens.gather(np.arange(4))
    assert (tokens.values == before).all()
    assert not tokens.values.flags.writeable


def test_gather_is_fast_enough_never_to_be_waited_for():
    lengths = np.random.default_rng(0).integers(30, 65, 4000)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = Tokens(np.zeros(offsets[-1], dtype=np.uint16), offsets, np.zeros(4000, dtype=np.int64), lengths)
    indices = np.random.default_rng(1).integers(0, 4000, 32)
    durations = []
    for _ in range(200):
        start = time.perf_counter()
        tokens.gather(indices)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 1e-4


@pytest.mark.parametrize("name", ["values", "offsets", "targets"])
def test_a_changed_file_is_refused_by_name(dna, name):
    path = dna / f"train.{name}.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=rf"train\.{name}\.npy is not the file"):
        Tokens.open(dna, "train")
    path.unlink()
    with pytest.raises(UserError, match=rf"train\.{name}\.npy is not the file"):
        Tokens.open(dna, "train")


def test_a_changed_task_is_refused_by_name(tmp_path):
    task = make_task(tmp_path / "task", ["AC"], ["a"])
    (task / "test.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"test\.parquet is not the file"):
        tokenize_task(spec_of(DNA_ENCODING), task, tmp_path / "tokens")
    assert not (tmp_path / "tokens").exists()


def test_images_become_patches(tmp_path):
    images = [np.arange(16, dtype=np.float32), np.ones(16, dtype=np.float32)]
    folder = tokenize(tmp_path, {"kind": "patches", "patch": [2, 2]}, images, ["0", "1"], shape=[4, 4], unit="pixels")
    description = EncodingDescription.load(folder / "encoding.json")
    assert (description.width, description.longest, description.vocabulary) == (4, 4, None)
    values, mask, _ = Tokens.open(folder, "train").gather(np.array([0]))
    assert values.dtype == np.float32
    assert values[0, 1].tolist() == [2, 3, 6, 7]
    assert mask.all()


def test_bits_are_read_out_at_the_last_positions(tmp_path):
    sequences = [np.array([0, 1, 1, 0, 1, 0, 0, 1], dtype=np.float32)]
    targets = [np.array([1, 1, 0, 1], dtype=np.int8)]
    folder = tokenize(tmp_path, {"kind": "patches", "patch": [2]}, sequences, targets, unit="bits")
    target = EncodingDescription.load(folder / "encoding.json").target
    assert target == EncodedTarget(kind="bits", positions=2, bits=2)
    tokens = Tokens.open(folder, "train")
    assert (tokens.targets.dtype, tokens.targets.tolist()) == (np.int8, [[[1, 1], [0, 1]]])
    assert tokens.lengths.tolist() == [4]


@pytest.mark.parametrize(
    ("encoding", "sequence", "target", "message"),
    [
        (DNA_ENCODING, [1.0, 2.0], "a", "letters, which alphabet dna cannot encode"),
        ({"kind": "patches", "patch": [2]}, "AC", "a", "letters, which patches cannot encode"),
        (
            {"kind": "symbols", "alphabet": "midi-pitch", "max_length": 4},
            "AC",
            "a",
            "alphabet midi-pitch cannot encode",
        ),
        (DNA_ENCODING, "AC", [1, 0], "encoding.kind patches"),
        ({"kind": "patches", "patch": [3]}, [1.0] * 6, [1, 0], "that divides 2"),
        ({"kind": "patches", "patch": [4]}, [1.0] * 6, "a", r"train\.parquet: a patch of 4 does not divide"),
    ],
)
def test_an_encoding_that_does_not_fit_is_refused(tmp_path, encoding, sequence, target, message):
    sequence = sequence if isinstance(sequence, str) else np.array(sequence, dtype=np.float32)
    target = target if isinstance(target, str) else np.array(target, dtype=np.int8)
    with pytest.raises(UserError, match=message):
        tokenize(tmp_path, encoding, [sequence], [target])


def test_tokenizing_again_gives_the_same_bytes(tmp_path):
    task = make_task(tmp_path / "task", ["ACGT", "AC"], ["a", "b"])
    for name in ("one", "two"):
        tokenize_task(spec_of(DNA_ENCODING), task, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.parametrize("alphabet", ["dna", "whitespace", "characters"])
def test_it_does_not_matter_how_many_items_are_encoded_at_once(tmp_path, monkeypatch, alphabet):
    sequences = ["A C", "ACGTACGT", "N", "A", "G G G G G G", "c", "é" if alphabet != "dna" else "-"]
    task = make_task(tmp_path / "task", sequences, list("abababa"))
    encoding = {"kind": "symbols", "alphabet": alphabet, "max_length": 4}
    tokenize_task(spec_of(encoding), task, tmp_path / "whole")
    monkeypatch.setattr("crossover.encodings.tokenize.ITEMS_PER_BATCH", 2)
    tokenize_task(spec_of(encoding), task, tmp_path / "parts")
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "parts" / path.name).read_bytes()
    assert np.load(tmp_path / "parts/train.values.npy").dtype == np.uint16
