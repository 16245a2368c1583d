"""Targets as arrays."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossover.config.encodings import Encoding, PatchesEncoding
from crossover.config.tasks import Target
from crossover.errors import UserError
from crossover.specs.descriptions import EncodedTarget

TargetEncoder = Callable[[pa.Array], np.ndarray]


def make_target_encoder(target: Target, encoding: Encoding, training: pa.Array) -> tuple[TargetEncoder, EncodedTarget]:
    """Return the function that encodes the targets of a split, and what `encoding.json` says of them.

    Classes become int64 [items], their indices in sorted order. Numbers become float32 [items], standardised by mean and
    standard deviation of the training split unless the target leaves them as they are. Bits become int8 [items, positions, bits].

    Args:
        target: what is predicted.
        encoding: of the sequences, since bits are read out patch by patch.
        training: targets of the training split.

    Raises:
        UserError: bits do not fit the patches, or all training targets are the same number.
    """
    match target.kind:
        case "bits":
            return _bits(target, encoding, training)
        case "number":
            return _numbers(target, training)
    return _classes(target, training)


def _classes(target: Target, training: pa.Array) -> tuple[TargetEncoder, EncodedTarget]:
    classes = sorted(training.unique().to_pylist())
    known = pa.array(classes, training.type)
    encoded = EncodedTarget(**dict(target), classes=tuple(classes))
    return (lambda column: pc.index_in(column, known).to_numpy().astype(np.int64)), encoded


def _numbers(target: Target, training: pa.Array) -> tuple[TargetEncoder, EncodedTarget]:
    values = training.to_numpy()
    mean, deviation = float(values.mean()), float(values.std())
    if deviation == 0:
        raise UserError(f"all training targets are {mean:g}, so there is nothing to learn; correct the raw files.")
    if not target.standardised:
        mean, deviation = 0.0, 1.0
    encoded = EncodedTarget(**dict(target), mean=mean, deviation=deviation)
    return (lambda column: ((column.to_numpy() - mean) / deviation).astype(np.float32)), encoded


def _bits(target: Target, encoding: Encoding, training: pa.Array) -> tuple[TargetEncoder, EncodedTarget]:
    total = len(training[0])
    patch = encoding.patch if isinstance(encoding, PatchesEncoding) else []
    if len(patch) != 1 or total % patch[0]:
        raise UserError(
            f"targets of {total} bits need encoding.kind patches with a patch of [length] that divides {total}."
        )
    bits = patch[0]
    encoded = EncodedTarget(**dict(target), positions=total // bits, bits=bits)
    return (lambda column: column.flatten().to_numpy().reshape(-1, total // bits, bits)), encoded
