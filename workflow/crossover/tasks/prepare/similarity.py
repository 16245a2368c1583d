"""Cluster similar sequences, so that splits can keep them together."""

import math
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from crossover.alphabets import AlphabetName
from crossover.errors import UserError

if TYPE_CHECKING:
    from scipy.cluster.hierarchy import DisjointSet

# Letters of a k-mer: so many that unrelated sequences of a thousand letters share hardly any.
K: dict[AlphabetName, int] = {"dna": 11, "protein": 4}
PERMUTATIONS = 128
MIN_JACCARD = 0.02  # below it, similar sequences cannot be told from unrelated ones


def find_clusters(
    table: pd.DataFrame, letters: AlphabetName | None, identity: float, tool: Literal["minhash", "mmseqs2", "cd-hit"]
) -> pd.Series:
    """Cluster sequences such that similar ones are always in the same cluster.

    Args:
        table: columns `item` and `sequence`.
        letters: the alphabet of DNA or proteins; None for other sequences.
        identity: fraction of equal letters from which two sequences are similar.
        tool: how similar sequences are found.

    Returns:
        The name of the cluster of each row: the first of its items, sorted by name.

    Raises:
        UserError: the sequences are not DNA or proteins, the tool is not installed or fails, or it cannot detect such a low
            identity.
    """
    if letters is None:
        raise UserError(
            "split.by similarity is only for DNA and proteins; for other domains set split.by to item or group."
        )
    rows = table[["item", "sequence"]].sort_values("item", ignore_index=True)
    roots = TOOLS[tool](rows["sequence"].tolist(), letters, identity)
    first = pd.Series(range(len(roots))).groupby(roots).transform("min")
    clusters = dict(zip(rows["item"], rows["item"].to_numpy()[first], strict=True))
    return table["item"].map(clusters)


# --- MinHash ----------------------------------------------------------------------------------------------


def jaccard_of_identity(identity: float, k: int) -> float:
    """Return the Jaccard index of the k-mers of two sequences of this identity (Ondov et al. 2016, Mash, equation 4)."""
    intact = math.exp(-k * (1 - identity))
    return intact / (2 - intact)


def _minhash(sequences: list[str], letters: AlphabetName, identity: float) -> list[int]:
    """Join all pairs whose k-mers have at least the Jaccard index of `identity`.

    Candidates share a band of their MinHash signatures (Broder 1997; datasketch), with bands that rather find too
    many; each is checked on the k-mers themselves.
    """
    from datasketch import MinHash, MinHashLSH
    from scipy.cluster.hierarchy import DisjointSet

    k = K[letters]
    threshold = jaccard_of_identity(identity, k)
    if threshold < MIN_JACCARD:
        least = math.ceil(100 * (1 + math.log(2 * MIN_JACCARD / (1 + MIN_JACCARD)) / k)) / 100
        raise UserError(
            f"split.tool minhash cannot tell sequences of identity {identity} from unrelated ones; set split.identity to at "
            f"least {least}, or split.tool to mmseqs2 or cd-hit."
        )
    kmers = [_kmers(sequence, k) for sequence in sequences]
    index = MinHashLSH(threshold, PERMUTATIONS, weights=(0.1, 0.9))
    signatures = MinHash.generator(kmers, num_perm=PERMUTATIONS, seed=1, hashfunc=zlib.crc32)
    with index.insertion_session() as session:
        for number, signature in enumerate(signatures):
            session.insert(number, signature)
    clusters = DisjointSet(range(len(kmers)))
    for band in index.hashtables:
        for key in band.keys():  # noqa: SIM118  # a storage is not a dict
            _join_bucket(sorted(band.get(key)), kmers, threshold, clusters)
    return [clusters[number] for number in range(len(kmers))]


def _kmers(sequence: str, k: int) -> frozenset[bytes]:
    text = sequence.encode()
    return frozenset(text[start : start + k] for start in range(max(1, len(text) - k + 1)))


def _join_bucket(members: list[int], kmers: list[frozenset[bytes]], threshold: float, clusters: "DisjointSet") -> None:
    """Join the similar members of a bucket; those that are joined already are not compared again."""
    parts: dict[int, list[int]] = {}  # the previous members, by cluster
    for member in members:
        for root in list(parts):
            mine = clusters[member]
            others = parts.get(root, [])
            if root != mine and any(_jaccard(kmers[member], kmers[other]) >= threshold for other in others):
                joined = parts.pop(root) + parts.pop(mine, [])
                clusters.merge(root, member)
                parts[clusters[member]] = joined
        parts.setdefault(clusters[member], []).append(member)


def _jaccard(one: frozenset[bytes], other: frozenset[bytes]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)


# --- programs ---------------------------------------------------------------------------------------------


def _mmseqs(sequences: list[str], letters: AlphabetName, identity: float) -> list[int]:
    """Cluster with MMseqs2 (Steinegger & Soeding 2017), with a coverage of 80 % of both sequences."""
    options = ["--min-seq-id", str(identity), "-c", "0.8", "--cov-mode", "0", "--threads", "1", "-v", "1"]
    with tempfile.TemporaryDirectory() as folder:
        fasta = _write_fasta(sequences, Path(folder))
        _run("mmseqs", "easy-cluster", str(fasta), f"{folder}/out", f"{folder}/tmp", *options)
        pairs = np.loadtxt(f"{folder}/out_cluster.tsv", dtype=int, ndmin=2)  # representative, member
    roots = _singletons(sequences)
    for representative, member in pairs.tolist():
        roots[member] = representative
    return roots


def _cd_hit(sequences: list[str], letters: AlphabetName, identity: float) -> list[int]:
    """Cluster with CD-HIT (Li & Godzik 2006), with the word length that its manual recommends for each identity."""
    if letters == "dna":
        program, least, word = "cd-hit-est", 0.8, 8 if identity >= 0.9 else 5
    else:
        program, least = "cd-hit", 0.4
        word = next(size for size, limit in ((5, 0.7), (4, 0.6), (3, 0.5), (2, 0.0)) if identity >= limit)
    if identity < least:
        raise UserError(
            f"{program} needs an identity of at least {least}, not {identity}; raise split.identity, or set split.tool to mmseqs2."
        )
    roots = _singletons(sequences)
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


def _singletons(sequences: list[str]) -> list[int]:
    """Return a cluster of its own for each sequence: the programs skip very short ones."""
    return [-1 - number for number in range(len(sequences))]


def _write_fasta(sequences: list[str], folder: Path) -> Path:
    path = folder / "in.fasta"
    path.write_text("".join(f">{number}\n{sequence}\n" for number, sequence in enumerate(sequences)), encoding="ascii")
    return path


def _run(program: str, *arguments: str) -> None:
    if shutil.which(program) is None:
        raise UserError(
            f"split.tool needs the program {program}, which is not on PATH; install it, or set split.tool to minhash."
        )
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise UserError(f"{program} failed with status {done.returncode}: {' '.join(last)}; try split.tool minhash.")


# Each returns a cluster's number for each sequence.
TOOLS: dict[str, Callable[[list[str], AlphabetName, float], list[int]]] = {
    "minhash": _minhash,
    "mmseqs2": _mmseqs,
    "cd-hit": _cd_hit,
}
