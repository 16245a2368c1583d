"""Convert letters to ids of an alphabet, for all texts at once."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def code_points(texts: pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the letters of all texts as code points, uint8 or uint32 [letters of all], and their numbers, int64 [texts]."""
    text = pc.cast(texts, pa.large_binary())
    _, offsets, content = text.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[text.offset : text.offset + len(text) + 1]
    octets = np.frombuffer(content or b"", dtype=np.uint8)[bounds[0] : bounds[-1]]
    if not len(octets) or octets.max() < 128:
        return octets, np.diff(bounds)
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.frombuffer(octets.tobytes().decode().encode("utf-32-le"), dtype=np.uint32), lengths


def letter_ids(points: np.ndarray, letters: str, unknown: int, fold_case: bool) -> np.ndarray:
    """Return the index in `letters` of each code point, uint8 or uint16; `unknown` for all others.

    Args:
        points: from `code_points`.
        letters: the alphabet.
        unknown: the id of everything that is not in it.
        fold_case: whether lower case is read as upper case.
    """
    as_bytes = points.dtype == np.uint8 and unknown < 256
    ids = np.full(256 if as_bytes else int(points.max(initial=0)) + 1, unknown, np.uint8 if as_bytes else np.uint16)
    for case in (letters, letters.lower()) if fold_case else (letters,):
        known = np.frombuffer(case.encode("utf-32-le"), dtype=np.uint32)
        held = known < len(ids)
        ids[known[held]] = np.flatnonzero(held)
    if as_bytes:  # several times as fast as indexing
        return np.frombuffer(points.tobytes().translate(ids.tobytes()), dtype=np.uint8)
    return np.take(ids, points)
