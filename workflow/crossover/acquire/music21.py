"""Convert scores of music21's corpus to MIDI, with music21 itself."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crossover.acquire.acquired import Acquired
from crossover.acquire.packages import package_folder, require_version
from crossover.collector import without_collector
from crossover.config.datasets import Music21Dataset
from crossover.errors import UserError
from crossover.files import replacing
from crossover.specs.datasets import DatasetSpec
from crossover.specs.descriptions import SkippedInput

if TYPE_CHECKING:  # music21 takes seconds to import
    from music21.stream import Score

Ngrams = frozenset[tuple[int, ...]]
Converter = Callable[[Path, Path], tuple[Ngrams, str]]
Map = Callable[[Converter, Iterable[Path], Iterable[Path]], Iterable[tuple[Ngrams, str]]]

# Not .rntxt: harmonic analyses of pieces that are also in the corpus as scores.
SCORES = (".abc", ".krn", ".mxl", ".xml")
NGRAM = 8  # intervals; unrelated pieces of one style share shorter n-grams
SAME_PIECE = 1 / 3  # fraction of common n-grams; unrelated pieces of one class in the corpus hardly reach 1/4


def acquire(dataset: Music21Dataset, spec: DatasetSpec, folder: Path, workers: int) -> Acquired:
    """Write `pieces` scores of each class as MIDI, to `<label>/<piece>.mid`.

    A class is a folder of the corpus, not necessarily a composer: `trecento` is 14th-century Italian music, and
    `ryansMammoth` a printed collection of fiddle tunes. The four folders with at least 60 different scores are bach,
    palestrina, trecento and ryansMammoth. A movement in a file of its own counts as a piece.

    Raises:
        UserError: the corpus lacks the folder or that many scores, or another version of it is installed than planned.
    """
    require_version("music21", spec.version)
    files: list[str] = []
    skipped: list[SkippedInput] = []
    with _parallel_map(workers) as map_:
        for label in dataset.classes:
            stems, left_out = _convert_class(label, dataset, folder, map_)
            files += [f"{label}/{stem}.mid" for stem in stems]
            skipped += left_out
    return Acquired(folder, files, "music21, core corpus", spec.version, skipped=tuple(skipped))


@contextmanager
def _parallel_map(workers: int) -> Iterator[Map]:
    if workers == 1:
        yield map
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield pool.map


def _convert_class(
    label: str, dataset: Music21Dataset, folder: Path, map_: Map
) -> tuple[list[str], list[SkippedInput]]:
    """Convert scores in random order until there are enough; return the stems kept, and the skipped scores with reasons."""
    source = dataset.classes[label]
    scores = _seeded_scores(source, [dataset.seed, *label.encode()])
    kept: dict[str, Ngrams] = {}
    skipped = []
    while len(kept) < dataset.pieces:
        batch = list(islice(scores, dataset.pieces - len(kept)))
        if not batch:
            raise UserError(
                f"music21's corpus folder {source!r} has only {len(kept)} different scores that can be converted to MIDI; "
                f"set pieces to at most {len(kept)}, or remove the class {label!r}."
            )
        targets = [folder / label / f"{score.stem}.mid" for score in batch]
        for target, (ngrams, problem) in zip(targets, map_(_convert, batch, targets), strict=True):
            problem = problem or _other_version(ngrams, kept)
            if problem:
                target.unlink(missing_ok=True)
                skipped.append(SkippedInput(input=f"{label}/{target.stem}", reason=problem))
            else:
                kept[target.stem] = ngrams
    return list(kept), skipped


def _seeded_scores(source: str, seed: list[int]) -> Iterator[Path]:
    """Return the scores of one corpus folder in random order."""
    corpus = package_folder("music21") / "corpus"
    scores = sorted(path for path in (corpus / source).glob("*") if path.suffix in SCORES)
    if not scores:
        known = sorted(path.name for path in corpus.iterdir() if any(file.suffix in SCORES for file in path.glob("*")))
        raise UserError(f"music21's corpus has no folder {source!r} with scores; choose one of {', '.join(known)}.")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(scores))
    return iter([scores[index] for index in order])


@without_collector()  # a score is many small objects that all stay alive; garbage collection would take 40 % of the time
def _convert(source: Path, target: Path) -> tuple[Ngrams, str]:
    """Convert one score to MIDI; return the n-grams of its melodic intervals, and the problem (empty if none)."""
    from music21 import converter

    try:
        # forceSource, or music21 would leave a pickle of each score in the temporary folder.
        score = converter.Converter()
        score.parseFile(source, forceSource=True, storePickle=False)
        with replacing(target) as temporary:
            score.stream.write("midi", fp=temporary)
        return _interval_ngrams(score.stream), ""
    except UserError:
        raise
    except Exception as error:  # music21 raises many kinds of exceptions
        return frozenset(), f"{type(error).__name__}: {error}"


def _interval_ngrams(score: "Score") -> Ngrams:
    """Return the n-grams of melodic intervals, in semitones, of all parts; they do not change with transposition."""
    ngrams: set[tuple[int, ...]] = set()
    for part in score.parts:
        pitches = [note.pitches[-1].midi for note in part.recurse().notes if note.pitches]
        steps = np.diff(pitches).tolist()
        ngrams.update(tuple(steps[start : start + NGRAM]) for start in range(len(steps) - NGRAM + 1))
    return frozenset(ngrams)


def _other_version(ngrams: Ngrams, kept: dict[str, Ngrams]) -> str:
    """Say which kept score is another version of this one; return an empty text if none is.

    The corpus contains some pieces twice, under other names, keys or catalogue numbers (BWV 274 is BWV 62.6). With one
    version in training and another in the test split, memorising a piece would look like recognising a style.
    """
    for stem, others in kept.items():
        fewest = min(len(ngrams), len(others))
        if fewest and len(ngrams & others) > SAME_PIECE * fewest:
            return f"shares more than a third of its melodic runs with {stem}"
    return ""
