"""Encode a prepared task: the arrays that training maps into memory, and the facts that it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crossover.encodings.patches import cut_images, cut_series
from crossover.encodings.symbols import Alphabet, list_lengths, make_alphabet, truncate
from crossover.encodings.targets import make_target_encoder
from crossover.errors import UserError
from crossover.files import check_file, read_sealed_json, replacing, sha256, write_sealed_json

SPLITS = ("train", "validation", "test")
Settings = dict[str, Any]


@dataclass(frozen=True)
class Encoded:
    """The inputs of one split.

    Attributes:
        values: uint16 [positions of all] or float32 [positions of all, width].
        lengths: int64 [items], the positions of each item.
        truncated: share of the items that were cut.
        unknown: positions whose symbol is not in the vocabulary.
    """

    values: np.ndarray
    lengths: np.ndarray
    truncated: float = 0.0
    unknown: int = 0


def tokenize_task(spec: Settings, task_folder: Path, folder: Path) -> None:
    """Write the encoded splits of a task into `folder`, and `encoding.json` last.

    For each split: `values.npy` (symbols: uint16 [positions of all]; patches: float32 [positions of all,
    width]), `offsets.npy` (int64 [items + 1]; item i is `values[offsets[i]:offsets[i + 1]]`), `targets.npy`
    (see `make_target_encoder`; bits are read out at the last `positions` positions) and `items.parquet` (item, group). No padding is stored.

    Args:
        spec: the spec, with `encoding`.
        task_folder: the prepared task.
        folder: where the files go.

    Raises:
        UserError: the encoding does not fit the task, or a file is not the one prepared.
    """
    card = read_sealed_json(task_folder / "card.json")
    tables = {split: _read_split(task_folder, card, split) for split in SPLITS}
    encode, facts = _make_encoder(spec["encoding"], card, tables["train"])
    encode_targets, facts["target"] = make_target_encoder(
        card["target"], spec["encoding"], _column(tables["train"], "target")
    )
    encoded_facts: Settings = {"items": {}, "truncated": {}, "unknown": {}, "longest": 0, "sha256": {}}
    for split, table in tables.items():
        try:
            encoded = encode(_column(table, "sequence"))
        except UserError as error:
            raise UserError(f"{task_folder / split}.parquet: {error}") from error
        encoded_facts["items"][split] = len(encoded.lengths)
        encoded_facts["truncated"][split] = encoded.truncated
        encoded_facts["unknown"][split] = encoded.unknown
        encoded_facts["longest"] = max(encoded_facts["longest"], int(encoded.lengths.max()))
        encoded_facts["sha256"] |= _write_split(folder, split, table, encoded, encode_targets(_column(table, "target")))
    write_sealed_json(folder / "encoding.json", {**facts, **encoded_facts, "floor": card["floor"]["score"]})


def _read_split(folder: Path, card: Settings, split: str) -> pa.Table:
    name = f"{split}.parquet"
    return pq.read_table(check_file(folder / name, card["sha256"][name], f"{folder / 'card.json'} describes"))


def _column(table: pa.Table, name: str) -> pa.Array:
    return table.column(name).combine_chunks()


# --- inputs -----------------------------------------------------------------------------------------------


def _make_encoder(
    settings: Settings, card: Settings, training: pa.Table
) -> tuple[Callable[[pa.Array], Encoded], Settings]:
    """The function that encodes the sequences of a split, and what `encoding.json` says about it."""
    sequences = _column(training, "sequence")
    if settings["kind"] == "patches":
        _require_type(card, sequences, "patches", "list<element: float>")
        patch, shape = settings["patch"], card["shape"]
        facts: Settings = {"kind": "patches", "vocabulary": None, "width": int(np.prod(patch))}
        return (lambda column: _encode_patches(column, shape, patch)), facts
    name = settings["alphabet"]
    _require_type(
        card, sequences, f"alphabet {name}", "list<element: int32>" if name == "midi-pitch" else "large_string"
    )
    alphabet = make_alphabet(name, sequences)
    facts = {"kind": "symbols", "vocabulary": alphabet.vocabulary, "width": None}
    return (lambda column: _encode_symbols(column, alphabet, settings["max_length"])), facts


def _require_type(card: Settings, sequences: pa.Array, encoding: str, expected: str) -> None:
    if str(sequences.type) != expected:
        raise UserError(
            f"task {card['task']!r} has sequences of {card['unit']}, which {encoding} cannot encode; choose another encoding."
        )


def _encode_symbols(column: pa.Array, alphabet: Alphabet, longest: int) -> Encoded:
    ids, lengths = alphabet.encode(column)
    truncated = float((lengths > longest).mean())
    ids, lengths = truncate(ids, lengths, longest)
    unknown = 0 if alphabet.unknown is None else int((ids == alphabet.unknown).sum())
    return Encoded(ids, lengths, truncated, unknown)


def _encode_patches(column: pa.Array, shape: list[int] | None, patch: list[int]) -> Encoded:
    values = column.flatten().to_numpy()
    if shape is None:
        return Encoded(*cut_series(values, list_lengths(column), patch))
    patches = cut_images(values, shape, patch)
    return Encoded(patches, np.full(len(column), len(patches) // len(column), dtype=np.int64))


# --- files ------------------------------------------------------------------------------------------------


def _write_split(folder: Path, split: str, table: pa.Table, encoded: Encoded, targets: np.ndarray) -> dict[str, str]:
    """Write the files of one split; return their digests by name."""
    offsets = np.concatenate([[0], np.cumsum(encoded.lengths)])
    names = []
    for name, array in (("values", encoded.values), ("offsets", offsets), ("targets", targets)):
        names.append(f"{split}.{name}.npy")
        with replacing(folder / names[-1]) as temporary, temporary.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
    names.append(f"{split}.items.parquet")
    with replacing(folder / names[-1]) as temporary:
        pq.write_table(table.select(["item", "group"]), temporary)
    return {name: sha256(folder / name) for name in names}
