"""Targets as arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossover.errors import UserError

Settings = dict[str, Any]
TargetEncoder = Callable[[pa.Array], np.ndarray]


def make_target_encoder(target: Settings, encoding: Settings, training: pa.Array) -> tuple[TargetEncoder, Settings]:
    """The function that encodes the targets of a split, and what `encoding.json` says about it.

    Classes become int64 [items], their numbers in the order of names. Numbers become float32 [items], standardised by
    mean and standard deviation of the training split. Bits become int8 [items, positions, bits].

    Args:
        target: what is predicted, as the task's card says.
        encoding: the settings of the encoding, since bits are read out patch by patch, as they came in.
        training: targets of the training split.

    Raises:
        UserError: bits do not fit the patches, or all training targets are one number.
    """
    match target["kind"]:
        case "bits":
            return _bits(target, encoding, training)
        case "number":
            return _numbers(target, training)
    return _classes(target, training)


def _classes(target: Settings, training: pa.Array) -> tuple[TargetEncoder, Settings]:
    classes = sorted(training.unique().to_pylist())
    known = pa.array(classes, training.type)
    facts = {**target, "classes": classes}
    return (lambda column: pc.index_in(column, known).to_numpy().astype(np.int64)), facts


def _numbers(target: Settings, training: pa.Array) -> tuple[TargetEncoder, Settings]:
    values = training.to_numpy()
    mean, deviation = float(values.mean()), float(values.std())
    if deviation == 0:
        raise UserError(f"all training targets are {mean:g}, so there is nothing to learn; correct the raw files.")
    facts = {**target, "mean": mean, "deviation": deviation}
    return (lambda column: ((column.to_numpy() - mean) / deviation).astype(np.float32)), facts


def _bits(target: Settings, encoding: Settings, training: pa.Array) -> tuple[TargetEncoder, Settings]:
    total = len(training[0])
    patch = encoding["patch"] if encoding["kind"] == "patches" else []
    if len(patch) != 1 or total % patch[0]:
        raise UserError(
            f"targets of {total} bits need encoding.kind patches with a patch of [length] that divides {total}."
        )
    bits = patch[0]
    facts = {**target, "positions": total // bits, "bits": bits}
    return (lambda column: column.flatten().to_numpy().reshape(-1, total // bits, bits)), facts
