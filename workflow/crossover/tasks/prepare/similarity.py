"""Clusters of similar sequences, which splits keep on one side."""

import math
import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crossover.errors import UserError

WORD = {
    "dna": 11,
    "protein": 4,
}  # letters of a word: so long that unrelated sequences of a thousand letters share hardly any
PERMUTATIONS = 128
RAREST = 0.02  # share of common words below which relatives cannot be told from chance


def find_clusters(table: pd.DataFrame, letters: str | None, identity: float, tool: str) -> pd.Series:
    """Put sequences into clusters such that similar ones are never in two.

    Args:
        table: columns `item` and `sequence`.
        letters: "dna" or "protein".
        identity: share of equal letters from which two sequences are similar.
        tool: "minhash", "mmseqs2" or "cd-hit".

    Returns:
        The name of the cluster of each row: the first of its items, in the order of names.

    Raises:
        UserError: the sequences are not letters, the tool is not installed or fails, or cannot see relatives so remote.
    """
    if letters is None:
        raise UserError(
            "split.by similarity compares DNA or proteins; for other domains set split.by to item or group."
        )
    rows = table[["item", "sequence"]].sort_values("item", ignore_index=True)
    if tool == "minhash":
        roots = _minhash(rows["sequence"].tolist(), WORD[letters], identity)
    else:
        roots = {"mmseqs2": _mmseqs, "cd-hit": _cd_hit}[tool](rows["sequence"].tolist(), letters, identity)
    first = pd.Series(range(len(roots))).groupby(roots).transform("min")
    clusters = dict(zip(rows["item"], rows["item"].to_numpy()[first], strict=True))
    return table["item"].map(clusters)


# --- MinHash ----------------------------------------------------------------------------------------------


def common_words(identity: float, word: int) -> float:
    """The Jaccard index of the words of two sequences of this identity (Ondov et al. 2016, Mash, equation 4)."""
    intact = math.exp(-word * (1 - identity))
    return intact / (2 - intact)


def _minhash(sequences: list[str], word: int, identity: float) -> list[int]:
    """Join all pairs whose words have at least the Jaccard index of `identity`.

    Candidates share a band of their MinHash signatures (Broder 1997; datasketch), with bands that rather find too
    many; each is checked on the words themselves.
    """
    from datasketch import MinHash, MinHashLSH
    from scipy.cluster.hierarchy import DisjointSet

    threshold = common_words(identity, word)
    if threshold < RAREST:
        least = math.ceil(100 * (1 + math.log(2 * RAREST / (1 + RAREST)) / word)) / 100
        raise UserError(
            f"split.tool minhash cannot tell relatives of identity {identity} from chance; use at least {least}, or set "
            "split.tool to mmseqs2 or cd-hit."
        )
    words = [_words(sequence, word) for sequence in sequences]
    index = MinHashLSH(threshold, PERMUTATIONS, weights=(0.1, 0.9))
    signatures = MinHash.generator(words, num_perm=PERMUTATIONS, seed=1, hashfunc=zlib.crc32)
    with index.insertion_session() as session:
        for number, signature in enumerate(signatures):
            session.insert(number, signature)
    clusters = DisjointSet(range(len(words)))
    for band in index.hashtables:
        for key in band.keys():  # noqa: SIM118  # a storage is no dict
            _join_bucket(sorted(band.get(key)), words, threshold, clusters)
    return [clusters[number] for number in range(len(words))]


def _words(sequence: str, length: int) -> frozenset[bytes]:
    text = sequence.encode()
    return frozenset(text[start : start + length] for start in range(max(1, len(text) - length + 1)))


def _join_bucket(members: list[int], words: list[frozenset[bytes]], threshold: float, clusters: Any) -> None:
    """Join the similar members of a bucket; those that are joined already are not compared again."""
    parts: dict[int, list[int]] = {}  # the members seen so far, by cluster
    for member in members:
        for root in list(parts):
            mine = clusters[member]
            others = parts.get(root, [])
            if root != mine and any(_jaccard(words[member], words[other]) >= threshold for other in others):
                joined = parts.pop(root) + parts.pop(mine, [])
                clusters.merge(root, member)
                parts[clusters[member]] = joined
        parts.setdefault(clusters[member], []).append(member)


def _jaccard(one: frozenset[bytes], other: frozenset[bytes]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)


# --- programs ---------------------------------------------------------------------------------------------


def _mmseqs(sequences: list[str], letters: str, identity: float) -> list[int]:
    """MMseqs2 (Steinegger & Soeding 2017): clusters whose members cover each other to 80 %."""
    options = ["--min-seq-id", str(identity), "-c", "0.8", "--cov-mode", "0", "--threads", "1", "-v", "1"]
    with tempfile.TemporaryDirectory() as folder:
        fasta = _write_fasta(sequences, Path(folder))
        _run("mmseqs", "easy-cluster", str(fasta), f"{folder}/out", f"{folder}/tmp", *options)
        pairs = np.loadtxt(f"{folder}/out_cluster.tsv", dtype=int, ndmin=2)  # representative, member
    roots = _alone(sequences)
    for representative, member in pairs.tolist():
        roots[member] = representative
    return roots


def _cd_hit(sequences: list[str], letters: str, identity: float) -> list[int]:
    """CD-HIT (Li & Godzik 2006), with the word length that its manual gives for each identity."""
    if letters == "dna":
        program, least, word = "cd-hit-est", 0.8, 8 if identity >= 0.9 else 5
    else:
        program, least = "cd-hit", 0.4
        word = next(size for size, limit in ((5, 0.7), (4, 0.6), (3, 0.5), (2, 0.0)) if identity >= limit)
    if identity < least:
        raise UserError(
            f"{program} compares sequences of an identity of at least {least}, not {identity}; use mmseqs2."
        )
    roots = _alone(sequences)
    with tempfile.TemporaryDirectory() as folder:
        fasta = _write_fasta(sequences, Path(folder))
        options = ["-c", str(identity), "-n", str(word), "-d", "0", "-M", "0", "-l", "5", "-T", "1"]
        _run(program, "-i", str(fasta), "-o", f"{folder}/out", *options)
        cluster = -1
        for line in Path(folder, "out.clstr").read_text(encoding="ascii").splitlines():
            if line.startswith(">"):
                cluster += 1
            else:
                roots[int(line.split(">")[1].split("...")[0])] = cluster
    return roots


def _alone(sequences: list[str]) -> list[int]:
    """A cluster of its own for each sequence: the programs pass over very short ones."""
    return [-1 - number for number in range(len(sequences))]


def _write_fasta(sequences: list[str], folder: Path) -> Path:
    path = folder / "in.fasta"
    path.write_text("".join(f">{number}\n{sequence}\n" for number, sequence in enumerate(sequences)), encoding="ascii")
    return path


def _run(program: str, *arguments: str) -> None:
    if shutil.which(program) is None:
        raise UserError(
            f"split.tool needs the program {program}, which is not on PATH; install it, or use tool: minhash."
        )
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise UserError(f"{program} failed with status {done.returncode}: {' '.join(last)}; try tool: minhash.")
