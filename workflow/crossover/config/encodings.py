"""Encodings: how items become model input."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from crossover.config.base import ConfigModel


class _BetweenSpecialTokens(ConfigModel):
    """Symbols of one vocabulary in sequences that may stand between special tokens."""

    max_length: PositiveInt
    """Maximum number of symbols or k-mers, including special tokens; longer items are truncated, and the fraction truncated is
    reported."""
    special_tokens: bool = False
    """Put sequences between [CLS] and [SEP], as BERT reads texts: two more symbols of a new input; for input pretrained, the
    checkpoint's own. They count as positions."""

    @property
    def symbols_of_item(self) -> int:
        """Return the maximum number of symbols or k-mers, without special tokens."""
        return self.max_length - 2 * self.special_tokens

    @model_validator(mode="after")
    def symbols_fit_between_special_tokens(self) -> Self:
        """Raise if special tokens leave no room for a symbol."""
        if self.symbols_of_item < 1:
            raise ValueError("max_length must be at least 3, since two positions are for special tokens")
        return self


class SymbolsEncoding(_BetweenSpecialTokens):
    """One position per symbol. The vocabulary is a fixed alphabet or the symbols of the training split."""

    kind: Literal["symbols"]
    alphabet: Literal["dna", "protein", "midi-pitch", "whitespace", "characters"]
    """Vocabulary: a fixed alphabet, or all words (`whitespace`) or characters (`characters`) of the training split."""


class KmersEncoding(_BetweenSpecialTokens):
    """One position per k-mer of DNA or protein."""

    kind: Literal["kmers"]
    alphabet: Literal["dna", "protein"]
    """Alphabet; a k-mer with any other letter is unknown."""
    k: Annotated[int, Field(ge=1, le=8)]
    """Letters per k-mer."""
    overlapping: bool = True
    """Whether k-mers start at every letter. Otherwise they start at every k-th, and letters at the end that do not fill a
    k-mer are dropped and counted."""

    @model_validator(mode="after")
    def k_fits_alphabet(self) -> "KmersEncoding":
        """Raise if the embedding table, with one row per k-mer, would be too large."""
        if self.alphabet == "protein" and self.k > 3:
            raise ValueError("k must be at most 3 for protein (8,000 k-mers)")
        return self


class SubwordsEncoding(ConfigModel):
    """Subwords of a Hugging Face tokenizer, with its special tokens. If items are pairs of texts, both are encoded."""

    kind: Literal["subwords"]
    tokenizer: str = "checkpoint"
    """`checkpoint` for the tokenizer of the cell's checkpoint, the name of another checkpoint, or a path to a
    tokenizer.json."""
    max_length: PositiveInt
    """Maximum number of tokens, including special ones; longer items are truncated, and the fraction truncated is
    reported."""


class PatchesEncoding(ConfigModel):
    """One position per patch of numbers: a rectangle of an image, or consecutive values of a series."""

    kind: Literal["patches"]
    patch: list[PositiveInt] = Field(min_length=1, max_length=2)
    """Patch size: [rows, columns] for images, [length] for series. It must divide the item's shape."""
    pad: Annotated[int, Field(ge=0)] = 0
    """Zero padding on each side of an image, in pixels, before it is cut into patches."""
    grayscale: bool = False
    """Convert colour images to grayscale (luma of ITU-R BT.601)."""
    mean: list[float] | None = None
    """Mean of each channel, subtracted from pixels that are scaled to 0 to 1."""
    std: list[PositiveFloat] | None = None
    """Standard deviation of each channel, by which pixels are then divided."""
    augment: Literal["lu2021"] | None = None
    """Augmentation of training images: random crop after padding by 4 pixels, horizontal flip, rotation by up to 20
    degrees."""


class EventsEncoding(ConfigModel):
    """Four positions per note: time shift, pitch, duration and velocity. Times have steps of 10 ms (100 ms beyond 1 s),
    velocities steps of 4."""

    kind: Literal["events"]
    max_length: Annotated[int, Field(ge=4)]
    """Maximum number of positions; longer items are truncated after a whole note, and the fraction truncated is
    reported."""


Encoding = Annotated[
    SymbolsEncoding | KmersEncoding | SubwordsEncoding | PatchesEncoding | EventsEncoding,
    Field(discriminator="kind"),
]
