"""Load untrusted pickles, of which only data are used.

A pickle can call any function, and numpy's own would fill memory without checking it. Here placeholders take the place of
arrays while a pickle is loaded; arrays of numbers are then made from their bytes.
"""

import pickle
import re
from collections.abc import Callable
from typing import IO

import numpy as np

NUMBERS = re.compile("[<>=|][biuf][1248]")  # the byte order and the name of a dtype


def load_data(stream: IO[bytes]) -> object:
    """Return the content of a pickle of Python 2 or 3: containers, text, numbers, and an `Array` for each array of numpy.

    Raises:
        pickle.UnpicklingError: it names anything else, of which nothing is run. A damaged pickle can raise any exception.
    """
    return _DataOnlyUnpickler(stream, encoding="latin-1").load()


class Array:
    """Placeholder for an array of numpy, which keeps its state from the pickle."""

    def __init__(self, *_: object) -> None:
        self._state: object = None

    def __setstate__(self, state: object) -> None:
        self._state = state

    def read(self) -> np.ndarray:
        """Return the array.

        Raises:
            ValueError: it is not an array of numbers, or its bytes do not fit its shape.
        """
        match self._state:
            case (_, tuple() as shape, _DType() as dtype, by_column, bytes() | bytearray() | str() as content):
                try:
                    return dtype.read(content).reshape(shape, order="F" if by_column else "C")
                except TypeError:  # a shape that is not of whole numbers
                    pass
        raise ValueError("an array that is not numeric")

    def tolist(self) -> object:
        """Return its values as lists, like the method of numpy's arrays."""
        return self.read().tolist()


class _DType:
    """Placeholder for a dtype of numpy."""

    def __init__(self, name: str, *_: object) -> None:
        self._name = f"={name}"

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self._name = f"{state[1]}{self._name[1:]}"

    def read(self, content: bytes | bytearray | str) -> np.ndarray:
        """Return the values of these bytes."""
        if not NUMBERS.fullmatch(self._name):
            raise ValueError("an array that is not numeric")
        octets = content.encode("latin-1") if isinstance(content, str) else content
        return np.frombuffer(octets, np.dtype(self._name))


def _from_buffer(content: object, kind: object, shape: object, order: object) -> Array:
    array = Array()
    array.__setstate__((1, shape, kind, order == "F", content))
    return array


# In any module, since files of numpy 1 name modules in numpy.core, which numpy 2 calls numpy._core.
NUMPY: dict[str, Callable[..., object]] = {
    "ndarray": Array,
    "_reconstruct": Array,
    "_frombuffer": _from_buffer,
    "dtype": _DType,
    "scalar": lambda kind, content: kind.read(content)[0].item(),
}


# How protocol 2 writes bytes, and empty bytes.
BYTES: dict[tuple[str, str], Callable[..., bytes]] = {
    ("_codecs", "encode"): lambda text, _: text.encode("latin-1"),
    ("__builtin__", "bytes"): lambda: b"",
}


class _DataOnlyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., object]:
        if module.split(".")[0] == "numpy" and name in NUMPY:
            return NUMPY[name]
        if (module, name) in BYTES:
            return BYTES[module, name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is not data")
