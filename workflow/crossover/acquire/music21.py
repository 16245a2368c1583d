"""Scores from the corpus that music21 installs, written as MIDI by music21 itself."""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from crossover.acquire.packages import package_folder, require_version
from crossover.acquire.registry import Acquired
from crossover.errors import UserError
from crossover.files import replacing

Settings = dict[str, Any]
Map = Callable[..., Any]  # the signature of the built-in map

SCORES = (".abc", ".krn", ".mxl", ".xml")  # not .rntxt: harmonic analyses of pieces that are there as scores
RUN = 8  # intervals; shorter runs are shared by unrelated pieces of one style
SAME_PIECE = 1 / 3  # share of common runs; among music21's scores, unrelated pieces of one class hardly reach 1/4


def acquire(settings: Settings, folder: Path, workers: int) -> Acquired:
    """Write `pieces` scores of each class as MIDI, to `<label>/<piece>.mid`.

    A class is a folder of the corpus, which need not be one composer: `trecento` is the music of 14th-century
    Italy and `ryansMammoth` a printed collection of fiddle tunes. The four folders with at least 60 different
    scores are bach, palestrina, trecento and ryansMammoth. A movement that has a file of its own counts as a
    piece.

    Raises:
        UserError: the corpus does not have the folder or that many scores, or is not the one that was planned with.
    """
    require_version("music21", settings["version"])
    files, skipped = [], []
    with _mapping(workers) as mapped:
        for label, source in settings["classes"].items():
            stems, left_out = _convert_class(label, source, settings, folder, mapped)
            files += [f"{label}/{stem}.mid" for stem in stems]
            skipped += left_out
    facts = {"origin": "music21, core corpus", "version": settings["version"], "skipped": skipped}
    return Acquired(folder, files, facts)


@contextmanager
def _mapping(workers: int) -> Iterator[Map]:
    if workers == 1:
        yield map
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield pool.map


def _convert_class(
    label: str, source: str, settings: Settings, folder: Path, mapped: Map
) -> tuple[list[str], list[dict[str, str]]]:
    """Convert scores in a seeded order until there are enough: the stems kept, and what was skipped and why."""
    scores = _seeded_scores(source, [settings["seed"], *label.encode()])
    kept: dict[str, frozenset] = {}
    skipped = []
    while len(kept) < settings["pieces"]:
        batch = list(islice(scores, settings["pieces"] - len(kept)))
        if not batch:
            raise UserError(
                f"music21's corpus folder {source!r} has only {len(kept)} different scores that can be written as MIDI; "
                f"ask for at most {len(kept)} pieces, or leave the class {label!r} out."
            )
        targets = [folder / label / f"{score.stem}.mid" for score in batch]
        for target, (runs, trouble) in zip(targets, mapped(_convert, batch, targets), strict=True):
            trouble = trouble or _other_version(runs, kept)
            if trouble:
                target.unlink(missing_ok=True)
                skipped.append({"input": f"{label}/{target.stem}", "reason": trouble})
            else:
                kept[target.stem] = runs
    return list(kept), skipped


def _seeded_scores(source: str, seed: list[int]) -> Iterator[Path]:
    """The scores of one corpus folder in a seeded order."""
    corpus = package_folder("music21") / "corpus"
    scores = sorted(path for path in (corpus / source).glob("*") if path.suffix in SCORES)
    if not scores:
        known = sorted(path.name for path in corpus.iterdir() if any(file.suffix in SCORES for file in path.glob("*")))
        raise UserError(f"music21's corpus has no folder {source!r} with scores; choose among {', '.join(known)}.")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(scores))
    return iter([scores[index] for index in order])


def _convert(source: Path, target: Path) -> tuple[frozenset, str]:
    """Write one score as MIDI: the runs of intervals in its parts, and what went wrong or an empty text."""
    from music21 import converter

    gc.disable()  # a score is many small objects that all stay alive: looking for garbage would take 40 % of the time
    try:
        # Straight from the source: music21 would otherwise leave a pickle of each score in the temporary folder.
        score = converter.Converter()
        score.parseFile(source, forceSource=True, storePickle=False)
        with replacing(target) as temporary:
            score.stream.write("midi", fp=temporary)
        return _interval_runs(score.stream), ""
    except UserError:
        raise
    except Exception as error:  # music21 raises its own kind for each notation that it cannot follow
        return frozenset(), f"{type(error).__name__}: {error}"
    finally:
        gc.enable()


def _interval_runs(score: Any) -> frozenset:
    """All runs of successive melodic intervals, in semitones, in any part: the same in every transposition."""
    runs: set[tuple[int, ...]] = set()
    for part in score.parts:
        pitches = [note.pitches[-1].midi for note in part.recurse().notes if note.pitches]
        steps = np.diff(pitches).tolist()
        runs.update(tuple(steps[start : start + RUN]) for start in range(len(steps) - RUN + 1))
    return frozenset(runs)


def _other_version(runs: frozenset, kept: dict[str, frozenset]) -> str:
    """Say which kept score is another version of this one, or nothing.

    The corpus holds pieces twice, under other names, keys or catalogue numbers (BWV 274 is BWV 62.6). With one
    version in training and another in the test split, recalling a piece would look like knowing a style.
    """
    for stem, others in kept.items():
        fewest = min(len(runs), len(others))
        if fewest and len(runs & others) > SAME_PIECE * fewest:
            return f"shares more than a third of its melodic runs with {stem}"
    return ""
