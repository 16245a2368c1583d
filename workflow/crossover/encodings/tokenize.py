"""Encode a prepared task: the arrays that training maps into memory, and the facts that it needs."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crossover.encodings.encoder import Encoded, Encoder, Items, Settings, column
from crossover.encodings.registry import ENCODERS
from crossover.encodings.targets import make_target_encoder
from crossover.errors import UserError
from crossover.files import check_file, read_sealed_json, replacing, sha256, write_sealed_json

SPLITS = ("train", "validation", "test")
ITEMS_AT_ONCE = 4096


def tokenize_task(spec: Settings, task_folder: Path, folder: Path) -> None:
    """Write the encoded splits of a task into `folder`, and `encoding.json` last.

    For each split: `values.npy` (ids: uint16 or uint32 [positions of all]; patches: uint8 or float32 [positions of all,
    width]), `offsets.npy` (int64 [items + 1]; item i is `values[offsets[i]:offsets[i + 1]]`), `targets.npy`
    (see `make_target_encoder`; bits are read out at the last `positions` positions) and `items.parquet` (item, group). No
    padding is stored. Sequences are read, encoded and written some thousand at a time.

    Args:
        spec: the spec, with `encoding`, and `tokenizer` where the encoding needs one.
        task_folder: the prepared task.
        folder: where the files go.

    Raises:
        UserError: the encoding does not fit the task, or a file is not the one prepared.
    """
    card = read_sealed_json(task_folder / "card.json")
    paths = {split: _checked_split(task_folder, card, split) for split in SPLITS}
    encoder = encoder_of(spec, card, _Split(paths["train"]))
    targets = pq.read_table(paths["train"], columns=["target"])
    encode_targets, target_facts = make_target_encoder(card["target"], spec["encoding"], column(targets, "target"))
    facts: Settings = {**encoder.facts, "target": target_facts, "longest": 0, "sha256": {}}
    facts |= {"items": {}, "truncated": {}, "truncated_items": {}, "unknown": {}, "counts": {}}
    for split, path in paths.items():
        encoded = _write_values(folder / f"{split}.values.npy", path, encoder)
        facts["items"][split] = len(encoded.lengths)
        facts["truncated"][split] = encoded.truncated / len(encoded.lengths)
        facts["truncated_items"][split] = encoded.truncated
        facts["unknown"][split] = encoded.unknown
        facts["counts"][split] = encoded.counts
        facts["longest"] = max(facts["longest"], int(encoded.lengths.max()))
        facts["sha256"] |= _write_split(folder, split, path, encoded.lengths, encode_targets)
    write_sealed_json(folder / "encoding.json", {**facts, "floor": card["floor"]["score"]})


def encoder_of(spec: Settings, card: Settings, training: Items) -> Encoder:
    """The encoder that the spec of tokens asks for.

    Args:
        spec: as for `tokenize_task`.
        card: of the prepared task.
        training: its training split.

    Raises:
        UserError: the encoding does not fit the task.
    """
    settings = spec["encoding"] | ({"tokenizer": spec["tokenizer"]} if "tokenizer" in spec else {})
    return importlib.import_module(ENCODERS[settings["kind"]]).make_encoder(settings, card, training)


def _checked_split(folder: Path, card: Settings, split: str) -> Path:
    name = f"{split}.parquet"
    return check_file(folder / name, card["sha256"][name], f"{folder / 'card.json'} describes")


# --- files ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Split:
    """One split of a prepared task: its sequences are never in memory as a whole."""

    path: Path

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return pq.read_schema(self.path)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Some thousand items after the other."""
        names = [name for name in ("sequence", "second") if name in self.schema.names]
        with pq.ParquetFile(self.path) as file:
            yield from file.iter_batches(ITEMS_AT_ONCE, columns=names)


def _write_values(path: Path, source: Path, encoder: Encoder) -> Encoded:
    """Write the values of one split; return the rest of what encoding gave, without values."""
    lengths, truncated, unknown, counts = [], 0, 0, dict[str, int]()
    with _growing_array(path) as append:
        for batch in _Split(source).to_batches():
            try:
                encoded = encoder.encode(pa.Table.from_batches([batch]))
            except UserError as error:
                raise UserError(f"{source}: {error}") from error
            append(encoded.values)
            lengths.append(encoded.lengths)
            truncated += encoded.truncated
            unknown += encoded.unknown
            counts |= {name: counts.get(name, 0) + count for name, count in encoded.counts.items()}
    return Encoded(np.empty(0), np.concatenate(lengths), truncated, unknown, counts)


@contextmanager
def _growing_array(path: Path) -> Iterator[Callable[[np.ndarray], None]]:
    """Write an .npy file part by part: a function that appends rows is given to the block."""
    with replacing(path) as temporary, temporary.open("wb+") as stream:
        head: dict[str, Any] = {}

        def append(part: np.ndarray) -> None:
            if not head:
                head.update(
                    descr=np.lib.format.dtype_to_descr(part.dtype), fortran_order=False, shape=(0, *part.shape[1:])
                )
                np.lib.format.write_array_header_1_0(stream, head)
            head["shape"] = (head["shape"][0] + len(part), *part.shape[1:])
            stream.write(np.ascontiguousarray(part).data)

        yield append
        stream.seek(0)  # numpy leaves room in the header for a first axis of any length
        np.lib.format.write_array_header_1_0(stream, head)


def _write_split(
    folder: Path, split: str, source: Path, lengths: np.ndarray, encode_targets: Callable[[pa.Array], np.ndarray]
) -> dict[str, str]:
    """Write the other files of one split; return the digests of all by name."""
    table = pq.read_table(source, columns=["item", "group", "target"])
    arrays = {"offsets": np.concatenate([[0], np.cumsum(lengths)]), "targets": encode_targets(column(table, "target"))}
    for name, array in arrays.items():
        with replacing(folder / f"{split}.{name}.npy") as temporary, temporary.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
    with replacing(folder / f"{split}.items.parquet") as temporary:
        pq.write_table(table.select(["item", "group"]), temporary)
    names = [f"{split}.{part}" for part in ("values.npy", "offsets.npy", "targets.npy", "items.parquet")]
    return {name: sha256(folder / name) for name in names}
