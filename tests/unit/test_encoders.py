"""Encoders of k-mers, subwords, images and notes, and the augmentation of training images."""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter
from tiny_cards import card_of

from crossover.alphabets import ALPHABETS, WHOLE_NOTES
from crossover.config.encodings import Encoding
from crossover.encodings import augment, kmers, midi_events, patches, subwords, symbols
from crossover.encodings.encoder import Encoded
from crossover.encodings.registry import ENCODERS
from crossover.encodings.tokens import Tokens, _scaling
from crossover.errors import UserError
from crossover.files import sha256
from crossover.specs.descriptions import EncodedImage
from crossover.specs.tasks import TokenizerFile

TEXT = pa.large_string()
BERT, GPT2 = "models/bert-l2-h128-books/tokenizer.json", "models/gpt2-l2-h128-books/tokenizer.json"


def encoder_of(module, encoding, table, shape=None, unit="units", tokenizer=None):
    """The encoder of a task with these settings, checked as config."""
    [kind] = [kind for kind, name in ENCODERS.items() if name == module.__name__]
    settings = TypeAdapter(Encoding).validate_python({"kind": kind, **encoding})
    return module.make_encoder(settings, card_of(unit=unit, shape=shape), table, *([tokenizer] if tokenizer else []))


def texts(sequences, second=None):
    columns = {"sequence": pa.array(sequences, TEXT)}
    return pa.table(columns | ({"second": pa.array(second, TEXT)} if second else {}))


def items_of(encoded: Encoded) -> list[np.ndarray]:
    return np.split(encoded.values, np.cumsum(encoded.lengths)[:-1])


# --- special tokens ---------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(sequences=st.lists(st.text("ACGTN", max_size=12), min_size=1, max_size=6), longest=st.integers(3, 9))
def test_special_tokens_stand_around_each_sequence_and_count_as_positions(sequences, longest):
    table = texts(["A" + one for one in sequences])  # no task has empty sequences
    for module, more in ((symbols, {}), (kmers, {"k": 2})):
        own = {"alphabet": "dna", **more}
        plain = encoder_of(module, {**own, "max_length": longest - 2}, table)
        around = encoder_of(module, {**own, "max_length": longest, "special_tokens": True}, table)
        known = plain.facts.vocabulary
        assert around.facts.vocabulary == (*known, "[CLS]", "[SEP]")
        assert around.facts.special_tokens > plain.facts.special_tokens
        encoded, expected = around.encode(table), plain.encode(table)
        for found, inner in zip(items_of(encoded), items_of(expected), strict=True):
            assert found.tolist() == [len(known), *inner, len(known) + 1]
            assert around.decode(found) == plain.decode(inner)
        assert encoded.lengths.tolist() == [len(one) for one in items_of(encoded)]
        assert (encoded.truncated, encoded.unknown, encoded.counts) == (
            expected.truncated,
            expected.unknown,
            expected.counts,
        )


@pytest.mark.parametrize("more", [{"kind": "symbols"}, {"kind": "kmers", "k": 2}])
def test_special_tokens_leave_room_for_a_symbol(more):
    with pytest.raises(ValueError, match="max_length must be at least 3, since two positions are for special tokens"):
        TypeAdapter(Encoding).validate_python({"alphabet": "dna", "max_length": 2, "special_tokens": True, **more})


# --- k-mers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alphabet", "k"), [("dna", 1), ("dna", 3), ("dna", 8), ("protein", 3)])
@pytest.mark.parametrize("overlapping", [True, False])
def test_kmers_are_those_of_a_loop_and_come_back(alphabet, k, overlapping):
    letters = ALPHABETS[alphabet][:-1]

    @settings(max_examples=40)
    @given(
        sequences=st.lists(st.text(letters + letters.lower() + "N-é", max_size=20), min_size=1),
        longest=st.integers(1, 12),
    )
    def check(sequences, longest):
        table = texts(sequences)
        encoding = {"alphabet": alphabet, "k": k, "overlapping": overlapping, "max_length": longest}
        encoder = encoder_of(kmers, encoding, table)
        encoded = encoder.encode(table)
        step, vocabulary = 1 if overlapping else k, encoder.vocabulary
        every = [
            [text[i : i + k].upper() for i in range(0, len(text) - k + 1, step)] or ["short"] for text in sequences
        ]
        expected = [
            [word if set(word) <= set(letters) else vocabulary[-1] for word in words[:longest]] for words in every
        ]
        assert [[vocabulary[index] for index in ids] for ids in items_of(encoded)] == expected
        assert encoded.truncated == sum(len(words) > longest for words in every)
        assert encoded.unknown == sum(words.count(vocabulary[-1]) for words in expected)
        left_over = 0 if overlapping else sum(len(text) % k for text in sequences if len(text) >= k)
        assert encoded.counts == {kmers.LEFT_OVER: left_over}
        for text, ids in zip(sequences, items_of(encoded), strict=True):
            if set(text.upper()) <= set(letters) and len(text) >= k:
                decoded = encoder.decode(ids)
                assert decoded == text.upper()[: len(decoded)]
                assert len(decoded) == (len(ids) + k - 1 if overlapping else len(ids) * k)

    check()


# --- subwords ---------------------------------------------------------------------------------------------


def subword_encoder(path, table, max_length=64):
    tokenizer = TokenizerFile(file=str(path), sha256=sha256(path))
    return encoder_of(subwords, {"max_length": max_length}, table, tokenizer=tokenizer)


@settings(max_examples=12)
@given(sequences=st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=5))
def test_bytes_of_text_come_back(mirrored, sequences):
    table = texts(sequences)
    encoder = subword_encoder(mirrored(GPT2), table, 200)
    encoded = encoder.encode(table)
    assert [encoder.decode(ids) for ids in items_of(encoded)] == sequences
    assert (encoded.truncated, encoded.unknown) == (0, 0)
    [first, *_] = items_of(encoded)
    assert "".join(encoder.facts.vocabulary[index] for index in first) == "".join(
        encoder.tokenizer.encode(sequences[0]).tokens
    )


def test_special_tokens_pairs_and_truncation_are_the_tokenizers_own(mirrored):
    table = texts(["Call me Ishmael.", "☃ " + "whale " * 20], ["Some years ago", "a b"])
    encoder = subword_encoder(mirrored(BERT), table, 16)
    encoded = encoder.encode(table)
    vocabulary = encoder.facts.vocabulary
    first, second = ([vocabulary[index] for index in ids] for ids in items_of(encoded))
    assert (first[0], first[-1], first.count("[SEP]")) == ("[CLS]", "[SEP]", 2)
    assert (second[0], second[1], second[-1], len(second)) == ("[CLS]", "[UNK]", "[SEP]", 16)
    assert (encoded.truncated, encoded.unknown, encoded.lengths.tolist()) == (1, 1, [len(first), 16])
    assert encoder.decode(items_of(encoded)[0]) == "call me ishmael. some years ago"


def test_a_tokenizer_that_cannot_be_used_is_refused_by_name(tmp_path, mirrored):
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(UserError, match=r"tokenizer\.json is not a tokenizer of"):
        subword_encoder(path, texts(["a"]))
    with pytest.raises(UserError, match=r"tokenizer\.json adds 2 special tokens"):
        subword_encoder(mirrored(BERT), texts(["a"]), 2)
    with pytest.raises(UserError, match=r"tokenizer\.json is not the file that this was planned with"):
        encoder_of(subwords, {"max_length": 9}, texts(["a"]), tokenizer=TokenizerFile(file=str(path), sha256="0"))
    with pytest.raises(UserError, match="units, which subwords cannot encode"):
        subword_encoder(path, pa.table({"sequence": [[1.0]]}))


# --- images -----------------------------------------------------------------------------------------------


def images_table(pixels):
    return pa.table(
        {"sequence": pa.array(list(pixels.reshape(len(pixels), -1)), pa.list_(pa.field("element", pa.uint8())))}
    )


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "encoding", "positions", "width"),
    [
        ([32, 32, 3], {"patch": [4, 4]}, 64, 48),
        ([32, 32, 3], {"patch": [1, 1], "grayscale": True}, 1024, 1),
        ([28, 28], {"patch": [4, 4]}, 49, 16),
        ([28, 28], {"patch": [4, 4], "pad": 2}, 64, 16),
        ([6, 10, 3], {"patch": [3, 2], "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 2.0]}, 10, 18),
    ],
)
def test_images_of_the_papers_have_their_sizes_and_come_back(shape, encoding, positions, width):
    pixels = random_images(3, *shape)
    table = images_table(pixels)
    encoder = encoder_of(patches, encoding, table, shape)
    encoded = encoder.encode(table)
    assert encoded.values.dtype == np.uint8
    assert encoded.values.shape == (3 * positions, width)
    assert encoder.facts.width == width
    assert encoded.lengths.tolist() == [positions] * 3
    expected = patches.to_gray(pixels) if encoding.get("grayscale") else pixels
    for image, values in zip(expected, items_of(encoded), strict=True):
        assert (encoder.decode(values) == image.ravel()).all()


def test_gray_is_what_pillow_calls_luma():
    pixels = random_images(50, 8, 8, 3)
    expected = [np.asarray(Image.fromarray(image).convert("L")) for image in pixels]
    assert (patches.to_gray(pixels)[..., 0] == np.stack(expected)).all()


def test_pixels_are_scaled_when_they_are_read():
    pixels = random_images(2, 4, 6, 3)
    mean, std = [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]
    table = images_table(pixels)
    encoder = encoder_of(patches, {"patch": [2, 3], "mean": mean, "std": std}, table, [4, 6, 3])
    encoded = encoder.encode(table)
    tokens = Tokens(encoded.values, np.array([0, 4, 8]), np.zeros(2), encoded.lengths, _scaling(encoder.facts))
    values, _, _ = tokens.gather(np.array([1, 0]))
    assert values.dtype == np.float32
    expected = (pixels[[1, 0]] / 255 - mean) / std
    np.testing.assert_allclose(patches.paste_images(values, [4, 6, 3], [2, 3]), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "encoding", "message"),
    [
        ([4, 4], {"patch": [2, 2], "grayscale": True}, "grayscale needs colour images"),
        ([4, 4], {"patch": [2, 2], "mean": [0.1, 0.2, 0.3]}, "mean has 3 values, but the images have 1 channels"),
        (None, {"patch": [2], "pad": 2}, "pad is for images"),
    ],
)
def test_a_setting_that_does_not_fit_the_images_is_refused(shape, encoding, message):
    with pytest.raises(UserError, match=message):
        encoder_of(patches, encoding, images_table(random_images(1, 4, 4)), shape)


# --- augmentation of training images ----------------------------------------------------------------------


def test_crops_and_flips_are_those_of_a_loop():
    images, rng = random_images(20, 8, 10, 3), np.random.default_rng(1)
    corners, chosen = rng.integers(0, 9, (20, 2)), rng.random(20) < 0.5
    for image, (top, left), cropped in zip(images, corners, augment.crop(images, corners), strict=True):
        padded = np.zeros((16, 18, 3), dtype=np.uint8)
        padded[4:12, 4:14] = image
        assert (cropped == padded[top : top + 8, left : left + 10]).all()
    for image, flipped, was in zip(images, augment.flip(images, chosen), chosen, strict=True):
        assert (flipped == (np.fliplr(image) if was else image)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_rotations_are_those_of_scipy(channels):
    smooth = scipy.ndimage.gaussian_filter(np.random.default_rng(0).random((6, 32, 32, channels)), (0, 3, 3, 0))
    images = (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    angles = np.array([-20.0, -7.5, 0.0, 3.0, 11.0, 20.0])
    for image, angle, turned in zip(images, angles, augment.rotate(images, angles), strict=True):
        expected = scipy.ndimage.rotate(image, angle, reshape=False, order=0)
        inside = slice(6, -6)  # at the border the two differ in what is still inside
        same = turned[inside, inside] == expected[inside, inside]
        assert same.mean() > 0.97  # a pixel halfway between two may go to either


def test_augmentation_depends_on_seed_and_step_alone():
    shape, patch = [32, 32, 3], [4, 4]
    batch = patches.cut_images(random_images(5, *shape), patch).reshape(5, 64, 48)
    before = batch.copy()
    image = EncodedImage(shape=shape, patch=patch, augment="lu2021")
    one, again = augment.Augmentation(image, 7), augment.Augmentation(image, 7)
    changed = [one(batch, step) for step in (0, 1, 2)]
    assert (changed[2] == again(batch, 2)).all()
    assert all((left != right).any() for left, right in pairwise(changed))
    assert (changed[0] != augment.Augmentation(image, 8)(batch, 0)).any()
    assert (batch == before).all()
    assert changed[0].dtype == np.uint8


# --- notes ------------------------------------------------------------------------------------------------

TIME = st.one_of(st.integers(0, 1200), st.integers(0, 12_000))
NOTES = st.lists(st.tuples(TIME, st.integers(0, 127), TIME, st.integers(0, 127)), min_size=1, max_size=8)


@given(sequences=st.lists(NOTES, min_size=1, max_size=4), longest=st.integers(4, 40))
def test_notes_come_back_up_to_the_steps_that_are_documented(sequences, longest):
    column = [[number for note in notes for number in note] for notes in sequences]
    table = pa.table({"sequence": pa.array(column, pa.list_(pa.field("element", pa.int32())))})
    encoder = encoder_of(midi_events, {"max_length": longest}, table, unit=WHOLE_NOTES)
    encoded = encoder.encode(table)
    assert encoded.values.max() < len(encoder.facts.vocabulary)
    assert encoded.truncated == sum(4 * len(notes) > longest for notes in sequences)
    kept = [notes[: longest // 4] for notes in sequences]
    beyond = sum(time > 10_000 for notes in kept for note in notes for time in (note[0], note[2]))
    assert encoded.counts == {"times beyond 10 s": beyond}
    for notes, ids in zip(kept, items_of(encoded), strict=True):
        decoded = np.array(encoder.decode(ids)).reshape(-1, 4)
        assert len(decoded) == len(notes)
        for (shift, pitch, duration, velocity), (*times, own_velocity) in zip(
            notes, decoded[:, [0, 2, 1, 3]], strict=True
        ):
            assert times[2] == pitch
            assert own_velocity == velocity // 4 * 4
            for time, own in ((shift, times[0]), (duration, times[1])):
                assert abs(min(time, 10_000) - own) <= (5 if time <= 1000 else 50)


def test_numbers_that_are_no_notes_are_refused():
    for numbers, message in (([1, 2, 3], "four numbers"), ([0, 200, 0, 0], "above 127")):
        table = pa.table({"sequence": pa.array([numbers], pa.list_(pa.field("element", pa.int32())))})
        with pytest.raises(UserError, match=message):
            encoder_of(midi_events, {"max_length": 8}, table, unit=WHOLE_NOTES).encode(table)


def test_pitches_are_not_taken_for_notes_nor_notes_for_pitches():
    table = pa.table({"sequence": pa.array([[60, 61, 62, 63]], pa.list_(pa.field("element", pa.int32())))})
    with pytest.raises(UserError, match=r"has sequences of pitches, but encoding\.kind events needs whole notes"):
        encoder_of(midi_events, {"max_length": 8}, table, unit="notes")
    with pytest.raises(UserError, match="has sequences of whole notes, but alphabet midi-pitch has pitches only"):
        encoder_of(symbols, {"alphabet": "midi-pitch", "max_length": 8}, table, unit=WHOLE_NOTES)


def test_vocabularies_name_every_id_once():
    table = pa.table({"sequence": pa.array([[0, 1, 2, 3]], pa.list_(pa.field("element", pa.int32())))})
    for encoder in (
        encoder_of(midi_events, {"max_length": 8}, table, unit=WHOLE_NOTES),
        encoder_of(kmers, {"alphabet": "dna", "k": 6, "max_length": 8}, texts(["A"])),
    ):
        vocabulary = json.loads(json.dumps(encoder.facts.vocabulary))
        assert len(set(vocabulary)) == len(vocabulary)
