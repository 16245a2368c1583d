"""How fast items are encoded, beside the obvious way of doing the same, in megabytes of raw input per second.

python benchmarks/encode.py [FOLDER]    MIDI files are those below FOLDER; by default some that are made here

Both ways are measured in this one run, on one core, and their results are compared before any figure is printed.
The obvious ways: a Hugging Face tokenizer that splits text into characters; a Python loop over k-mers; a loop over images
that cuts each by reshaping; pretty_midi, and music21; the published ListOps generators' algorithm.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one core for all

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import mido
import music21
import numpy as np
import pretty_midi
import pyarrow as pa
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("workflow", "tests")]

import published_listops  # noqa: E402
from crossover.alphabets import DNA, PROTEIN  # noqa: E402
from crossover.config.readers import ListopsReader  # noqa: E402
from crossover.encodings.kmers import KmerEncoder  # noqa: E402
from crossover.encodings.patches import ImageEncoder  # noqa: E402
from crossover.encodings.symbols import Letters, SymbolEncoder  # noqa: E402
from crossover.specs.descriptions import Scaling  # noqa: E402
from crossover.tasks.generators import listops  # noqa: E402
from crossover.tasks.readers.midi_notes import read_notes  # noqa: E402

REPEATS = 3  # the best time counts
SCALING = Scaling(scale=1 / 255, mean=(0.0,) * 3, std=(1.0,) * 3)


def sequences(letters: str, items: int, length: int) -> list[str]:
    """Random sequences of between half and all of `length` letters."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(length // 2, length + 1, items)
    drawn = rng.choice(np.frombuffer(letters.encode(), dtype=np.uint8), lengths.sum()).tobytes().decode()
    ends = np.cumsum(lengths)
    return [drawn[end - size : end] for end, size in zip(ends, lengths, strict=True)]


def fastest(work: Callable[[], Any]) -> tuple[float, Any]:
    """The shortest of some times in seconds, and what the work gave."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


def report(name: str, megabytes: float, own: float, others: dict[str, float]) -> None:
    """One line per obvious way."""
    for other, seconds in others.items():
        print(f"{name:<34}{megabytes / own:>9.1f}   {other:<30}{megabytes / seconds:>9.2f}{seconds / own:>8.1f} x")


def characters(name: str, letters: str, items: int, length: int) -> None:
    """Letters of an alphabet, beside a tokenizer of the Hugging Face library."""
    texts = sequences(letters, items, length)
    table = pa.table({"sequence": pa.array(texts, pa.large_string())})
    tokenizer = Tokenizer(models.WordLevel({letter: index for index, letter in enumerate(letters)}, letters[-1]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    own, encoded = fastest(lambda: SymbolEncoder(Letters(letters), length).encode(table))
    other, ids = fastest(lambda: [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)])
    assert encoded.values.tolist() == [index for item in ids for index in item]
    report(name, encoded.lengths.sum() / 1e6, own, {"tokenizers, split into letters": other})


def kmers(k: int, overlapping: bool, items: int, length: int) -> None:
    """K-mers of DNA, beside a loop with a dictionary."""
    texts = sequences(DNA[:-1] * 50 + "N", items, length)
    table = pa.table({"sequence": pa.array(texts, pa.large_string())})
    encoder = KmerEncoder(DNA[:-1], "N", k, overlapping, length)
    ids = {word: index for index, word in enumerate(encoder.vocabulary)}
    step = 1 if overlapping else k

    def loop() -> list[list[int]]:
        unknown = encoder.unknown
        return [[ids.get(text[i : i + k], unknown) for i in range(0, len(text) - k + 1, step)] for text in texts]

    own, encoded = fastest(lambda: encoder.encode(table))
    other, expected = fastest(loop)
    assert encoded.values.tolist() == [index for item in expected for index in item]
    name = f"{k}-mers of DNA, {'' if overlapping else 'not '}overlapping"
    report(name, sum(map(len, texts)) / 1e6, own, {"Python loop": other})


def patches(name: str, shape: tuple[int, int, int], patch: list[int], items: int) -> None:
    """Patches of images, beside a loop over images."""
    pixels = np.random.default_rng(0).integers(0, 256, (items, *shape), dtype=np.uint8)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(pixels.ravel()), int(np.prod(shape)))
    table = pa.table({"sequence": lists.cast(pa.list_(pa.field("element", pa.uint8())))})
    encoder = ImageEncoder(patch, shape, 0, False, SCALING, None)
    rows, columns, channels = shape

    def loop() -> np.ndarray:
        cut = []
        for sequence in table.column("sequence"):
            image = np.array(sequence.as_py(), dtype=np.uint8)
            grid = image.reshape(rows // patch[0], patch[0], columns // patch[1], patch[1], channels)
            cut.append(grid.transpose(0, 2, 1, 3, 4).reshape(-1, patch[0] * patch[1] * channels))
        return np.concatenate(cut)

    def loop_over_arrays() -> np.ndarray:
        cut = []
        for image in pixels:
            grid = image.reshape(rows // patch[0], patch[0], columns // patch[1], patch[1], channels)
            cut.append(grid.transpose(0, 2, 1, 3, 4).reshape(-1, patch[0] * patch[1] * channels))
        return np.concatenate(cut)

    own, encoded = fastest(lambda: encoder.encode(table))
    others = {"loop over rows of the table": fastest(loop), "loop over images as arrays": fastest(loop_over_arrays)}
    assert all((encoded.values == result).all() for _, result in others.values())
    report(name, pixels.nbytes / 1e6, own, {way: seconds for way, (seconds, _) in others.items()})


def midi(files: list[Path]) -> None:
    """Pitches of MIDI files, beside three libraries."""

    def of_mido() -> list[list[int]]:
        pieces = []
        for file in files:
            notes = []
            for track in mido.MidiFile(file).tracks:
                tick = 0
                for message in track:
                    tick += message.time
                    if message.type == "note_on" and message.velocity and message.channel != 9:
                        notes.append((tick, message.note))
            pieces.append([pitch for _, pitch in sorted(notes)])
        return pieces

    def of_pretty_midi() -> int:
        return sum(len(part.notes) for file in files for part in pretty_midi.PrettyMIDI(str(file)).instruments)

    own, pitches = fastest(lambda: [read_notes(file)[:, 1].tolist() for file in files])
    seconds, expected = fastest(of_mido)
    assert pitches == expected
    others = {"mido": seconds, "pretty_midi": fastest(of_pretty_midi)[0]}
    start = time.perf_counter()
    for file in files[:2]:
        list(music21.converter.parse(file, forceSource=True).flatten().notes)
    others["music21 (2 files)"] = (time.perf_counter() - start) * size(files) / size(files[:2])
    report(f"notes of {len(files)} MIDI files", size(files), own, others)


def generated_listops(items: int) -> None:
    """ListOps of the Long Range Arena's sizes, beside the published algorithm."""
    limits = {"max_depth": 10, "max_args": 10, "min_length": 500, "max_length": 2000}
    sizes = {"train": items - 2, "validation": 1, "test": 1}
    reader = ListopsReader(kind="listops", **limits, sizes=sizes)
    start = time.perf_counter()
    own_letters = listops.read(reader, None).table["sequence"].str.len().sum()
    middle = time.perf_counter()
    letters = sum(len(text) for text, _ in islice(published_listops.expressions(0, **limits), items))
    end = time.perf_counter()
    # The two draw other expressions, so each is measured by what it made.
    report(
        "ListOps, generated",
        own_letters / 1e6,
        middle - start,
        {"published algorithm": (end - middle) * own_letters / letters},
    )


def size(files: list[Path]) -> float:
    return sum(file.stat().st_size for file in files) / 1e6


def made_midi(folder: Path) -> list[Path]:
    """Four pieces of 3,000 notes."""
    for number in range(4):
        rng = np.random.default_rng(number)
        track = mido.MidiTrack()
        for pitch in rng.integers(30, 90, 3000).tolist():
            track.append(
                mido.Message("note_on", note=pitch, velocity=int(rng.integers(1, 128)), time=int(rng.integers(50)))
            )
            track.append(mido.Message("note_off", note=pitch, velocity=64, time=int(rng.integers(1, 200))))
        mido.MidiFile(tracks=[track]).save(folder / f"{number}.mid")
    return sorted(folder.glob("*.mid"))


def main() -> None:
    """Measure one encoder after the other."""
    warnings.simplefilter("ignore")
    print(f"{'':<34}{'MB/s':>9}   {'the obvious way':<30}{'MB/s':>9}{'ratio':>10}")
    characters("letters of DNA", DNA, 10_000, 500)
    characters("letters of proteins", PROTEIN, 10_000, 500)
    for k, overlapping in ((3, True), (6, True), (6, False)):
        kmers(k, overlapping, 10_000, 500)
    patches("CIFAR-10, patches of 4 x 4", (32, 32, 3), [4, 4], 4096)
    patches("MNIST, patches of 4 x 4", (28, 28, 1), [4, 4], 4096)
    with tempfile.TemporaryDirectory() as folder:
        given = sorted(Path(sys.argv[1]).rglob("*.mid*"))[:8] if len(sys.argv) > 1 else made_midi(Path(folder))
        midi(given)
    generated_listops(3000)


if __name__ == "__main__":
    main()
