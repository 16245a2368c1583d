"""Encodings: how an item becomes model input."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from crossover.config.base import Model


class SymbolsEncoding(Model):
    """One position per symbol, from a fixed alphabet or from the symbols of the training split."""

    kind: Literal["symbols"]
    alphabet: Literal["dna", "protein", "midi-pitch", "whitespace", "characters"]
    """The vocabulary; `whitespace` collects the words of the training split, `characters` its characters."""
    max_length: PositiveInt
    """Longer items are cut here; the share that is cut is reported."""


class KmersEncoding(Model):
    """One position per k-mer of DNA or protein."""

    kind: Literal["kmers"]
    alphabet: Literal["dna", "protein"]
    """The letters; a k-mer with another letter is unknown."""
    k: Annotated[int, Field(ge=1, le=8)]
    """Letters of a k-mer."""
    overlapping: bool = True
    """Whether a k-mer starts at every letter, or at every k-th; letters at the end that fill none are counted."""
    max_length: PositiveInt
    """K-mers at most; longer items are cut here, and the share that is cut is reported."""

    @model_validator(mode="after")
    def can_be_held(self) -> "KmersEncoding":
        """An embedding table has a row for every k-mer."""
        if self.alphabet == "protein" and self.k > 3:
            raise ValueError("k must be at most 3 for protein, which gives 8,000 k-mers")
        return self


class SubwordsEncoding(Model):
    """The subwords of a Hugging Face tokenizer, with its special tokens; a reader of pairs gives both texts."""

    kind: Literal["subwords"]
    tokenizer: str = "checkpoint"
    """`checkpoint` for that of the cell's checkpoint, the name of another checkpoint, or a path to a tokenizer.json."""
    max_length: PositiveInt
    """Tokens at most, special ones included; longer items are cut, and the share that is cut is reported."""


class PatchesEncoding(Model):
    """One position per patch of numbers: a rectangle of an image, or a run of a series."""

    kind: Literal["patches"]
    patch: list[PositiveInt] = Field(min_length=1, max_length=2)
    """Size of a patch: [rows, columns] or [length]; it must divide the item's shape."""
    pad: Annotated[int, Field(ge=0)] = 0
    """Zeros added at each side of an image before it is cut."""
    grayscale: bool = False
    """Whether colours become their luma (ITU-R BT.601)."""
    mean: list[float] | None = None
    """Subtracted from each channel, of pixels as 0 to 1."""
    std: list[PositiveFloat] | None = None
    """What each channel is then divided by."""
    augment: Literal["lu2021"] | None = None
    """Change training images: random crop of the image padded by 4, horizontal flip, rotation by up to 20 degrees."""


class EventsEncoding(Model):
    """Four positions per note: time shift, pitch, duration and velocity, in steps of 10 ms (100 ms beyond 1 s) and of 4."""

    kind: Literal["events"]
    max_length: Annotated[int, Field(ge=4)]
    """Positions at most, whole notes; longer items are cut here, and the share that is cut is reported."""


Encoding = Annotated[
    SymbolsEncoding | KmersEncoding | SubwordsEncoding | PatchesEncoding | EventsEncoding,
    Field(discriminator="kind"),
]
