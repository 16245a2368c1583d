"""Pickles of strangers, of which only data are taken.

A pickle may name any function to be called, and numpy's own would fill memory that it does not check. Here arrays are
stood in for while a pickle is read, and are made of their bytes afterwards, of numbers only.
"""

import pickle
import re
from collections.abc import Callable
from typing import IO, Any

import numpy as np

NUMBERS = re.compile("[<>=|][biuf][1248]")  # the byte order and the name of a dtype


def load_data(stream: IO[bytes]) -> Any:
    """What a pickle of Python 2 or 3 holds: containers, text, numbers, and an `Array` for each array of numpy.

    Raises:
        pickle.UnpicklingError: it names anything else; nothing of that is run. A damaged pickle may raise whatever its
            instructions stumble over.
    """
    return _DataOnly(stream, encoding="latin-1").load()


class Array:
    """Stands for an array of numpy: it keeps what the pickle says of it."""

    def __init__(self, *_: Any) -> None:
        self._state: Any = None

    def __setstate__(self, state: Any) -> None:
        self._state = state

    def read(self) -> np.ndarray:
        """The array.

        Raises:
            ValueError: it is none of numbers, or its bytes do not fit.
        """
        try:
            _, shape, kind, by_column, content = self._state
            return kind.read(content).reshape(shape, order="F" if by_column else "C")
        except (AttributeError, TypeError) as error:
            raise ValueError("an array that is not of numbers") from error

    def tolist(self) -> Any:
        """Its values, as those of numpy's arrays."""
        return self.read().tolist()


class _Kind:
    """Stands for numpy's dtype."""

    def __init__(self, name: str, *_: Any) -> None:
        self._name = f"={name}"

    def __setstate__(self, state: Any) -> None:
        self._name = f"{state[1]}{self._name[1:]}"

    def read(self, content: bytes | str) -> np.ndarray:
        """The values of these bytes."""
        if not NUMBERS.fullmatch(self._name):
            raise ValueError("an array that is not of numbers")
        octets = content.encode("latin-1") if isinstance(content, str) else content
        return np.frombuffer(octets, np.dtype(self._name))


def _from_buffer(content: Any, kind: Any, shape: Any, order: str) -> Array:
    array = Array()
    array.__setstate__((1, shape, kind, order == "F", content))
    return array


# Files of numpy 1 name modules in numpy.core, which numpy 2 calls numpy._core.
NUMPY: dict[str, Callable[..., Any]] = {
    "ndarray": Array,
    "_reconstruct": Array,
    "_frombuffer": _from_buffer,
    "dtype": _Kind,
    "scalar": lambda kind, content: kind.read(content)[0].item(),
}


# How protocol 2 writes bytes, and none.
BYTES: dict[tuple[str, str], Callable[..., bytes]] = {
    ("_codecs", "encode"): lambda text, _: text.encode("latin-1"),
    ("__builtin__", "bytes"): lambda: b"",
}


class _DataOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in NUMPY:
            return NUMPY[name]
        if (module, name) in BYTES:
            return BYTES[module, name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no data")
