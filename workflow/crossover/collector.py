"""Python's garbage collector, which goes through all objects again and again while many are made that stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Switch the garbage collector off: while heavy libraries are imported, or a score of many small objects is read."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
