"""Encodings: how an item becomes model input."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from crossover.config.base import Model


class SymbolsEncoding(Model):
    """One position per symbol, from a fixed alphabet or from the symbols of the training split."""

    kind: Literal["symbols"]
    alphabet: Literal["dna", "protein", "midi-pitch", "whitespace"]
    """The vocabulary; `whitespace` collects the words of the training split."""
    max_length: PositiveInt
    """Longer items are cut here; the share that is cut is reported."""


class PatchesEncoding(Model):
    """One position per patch of numbers: a rectangle of an image, or a run of a series."""

    kind: Literal["patches"]
    patch: list[PositiveInt] = Field(min_length=1, max_length=2)
    """Size of a patch: [rows, columns] or [length]; it must divide the item's shape."""


Encoding = Annotated[SymbolsEncoding | PatchesEncoding, Field(discriminator="kind")]
