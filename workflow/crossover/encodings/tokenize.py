"""Encode a prepared task: the arrays that training maps into memory, and their description."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crossover.encodings.encoder import Encoded, Encoder, ItemBatches, column
from crossover.encodings.registry import ENCODERS
from crossover.encodings.targets import TargetEncoder, make_target_encoder
from crossover.errors import UserError
from crossover.files import check_file, replacing, sha256
from crossover.specs.descriptions import SPLITS, Card, EncodingDescription
from crossover.specs.tasks import TokensSpec

ITEMS_PER_BATCH = 4096


def tokenize_task(spec: TokensSpec, task_folder: Path, folder: Path) -> None:
    """Write the encoded splits of a task into `folder`, and `encoding.json` last.

    For each split: `values.npy` (ids: uint16 or uint32 [positions of all]; patches: uint8 or float32 [positions of all,
    width]), `offsets.npy` (int64 [items + 1]; item i is `values[offsets[i]:offsets[i + 1]]`), `targets.npy`
    (see `make_target_encoder`; bits are read out at the last `positions` positions) and `items.parquet` (item, group). No
    padding is stored. Sequences are read, encoded and written in batches.

    Args:
        spec: the spec of the tokens.
        task_folder: the folder of the prepared task.
        folder: where the files go.

    Raises:
        UserError: the encoding does not fit the task, or a file is not the one prepared.
    """
    card = Card.load(task_folder / "card.json")
    paths = {split: _verified_split(task_folder, card, split) for split in SPLITS}
    encoder = encoder_of(spec, card, SplitFile(paths["train"]))
    training = column(pq.read_table(paths["train"], columns=["target"]), "target")
    encode_targets, target = make_target_encoder(card.target, spec.encoding, training)
    encoded, digests = {}, dict[str, str]()
    for split, path in paths.items():
        encoded[split] = _write_values(folder / f"{split}.values.npy", path, encoder)
        digests |= _write_split(folder, split, path, encoded[split].lengths, encode_targets)
    description = EncodingDescription(
        **dict(encoder.facts),
        target=target,
        longest=max(int(one.lengths.max()) for one in encoded.values()),
        items={split: len(one.lengths) for split, one in encoded.items()},
        truncated={split: one.truncated / len(one.lengths) for split, one in encoded.items()},
        truncated_items={split: one.truncated for split, one in encoded.items()},
        unknown={split: one.unknown for split, one in encoded.items()},
        counts={split: one.counts for split, one in encoded.items()},
        floor=card.floor.score,
        sha256=digests,
    )
    description.write(folder / "encoding.json")


def encoder_of(spec: TokensSpec, card: Card, training: ItemBatches) -> Encoder:
    """Return the encoder of tokens.

    Args:
        spec: the spec of the tokens.
        card: of the prepared task.
        training: its training split.

    Raises:
        UserError: the encoding does not fit the task.
    """
    make_encoder: Callable[..., Encoder] = importlib.import_module(ENCODERS[spec.encoding.kind]).make_encoder
    if spec.tokenizer:
        return make_encoder(spec.encoding, card, training, spec.tokenizer)
    return make_encoder(spec.encoding, card, training)


def _verified_split(folder: Path, card: Card, split: str) -> Path:
    name = f"{split}.parquet"
    return check_file(folder / name, card.sha256[name], f"{folder / 'card.json'} describes")


# --- files ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SplitFile:
    """The file of one split of a prepared task, which is read in batches to save memory."""

    path: Path

    @property
    def schema(self) -> pa.Schema:
        """Return the names and types of the columns."""
        return pq.read_schema(self.path)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the sequences of some thousand items at a time."""
        names = [name for name in ("sequence", "second") if name in self.schema.names]
        with pq.ParquetFile(self.path) as file:
            yield from file.iter_batches(ITEMS_PER_BATCH, columns=names)


def _write_values(path: Path, source: Path, encoder: Encoder) -> Encoded:
    """Write the values of one split; return the other results of encoding, without values."""
    lengths, truncated, unknown, counts = [], 0, 0, dict[str, int]()
    with _growing_array(path) as append:
        for batch in SplitFile(source).to_batches():
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
    """Write an .npy file in parts: the block gets a function that appends rows."""
    with replacing(path) as temporary, temporary.open("wb+") as stream:
        header: dict[str, object] = {}
        rows = 0

        def append(part: np.ndarray) -> None:
            nonlocal rows
            if not header:
                header["descr"], header["fortran_order"] = np.lib.format.dtype_to_descr(part.dtype), False
                np.lib.format.write_array_header_1_0(stream, header | {"shape": (0, *part.shape[1:])})
            rows += len(part)
            header["shape"] = (rows, *part.shape[1:])
            stream.write(np.ascontiguousarray(part).data)

        yield append
        stream.seek(0)  # numpy's header has space for a first axis of any length
        np.lib.format.write_array_header_1_0(stream, header)


def _write_split(
    folder: Path, split: str, source: Path, lengths: np.ndarray, encode_targets: TargetEncoder
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
