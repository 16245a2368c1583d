"""Bodies: the initial weights of the transformer, as named by the conditions of config/conditions.yaml."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from crossover.config.base import ConfigModel, SeedOrRun


class BlockSelection(ConfigModel):
    """A selection of transformer blocks."""

    which: Literal["first", "last", "window", "inverse"]
    """The `first` or `last` blocks, a `window` of consecutive blocks, or its `inverse`: all blocks outside the window."""
    count: NonNegativeInt
    """Number of blocks; for `window` and `inverse`, the length of the window, at least 1."""
    start: NonNegativeInt = 0
    """First block of the window, counted from 0; only for `window` and `inverse`."""

    @model_validator(mode="after")
    def window_has_a_start_and_a_length(self) -> "BlockSelection":
        """Raise if `start` is set but no window is selected, or the window is empty."""
        if self.start and self.which in ("first", "last"):
            raise ValueError(f"start is only for window and inverse; remove it for the {self.which} blocks")
        if not self.count and self.which in ("window", "inverse"):
            raise ValueError("count is the length of the window, at least 1")
        return self

    def as_window(self, blocks: int) -> "BlockSelection":
        """Return the same selection of so many blocks as a window, where it is one, so that equal selections are equal."""
        start, end = self.start, self.start + self.count
        match self.which:
            case "last":
                start, end = blocks - self.count, blocks
            case "inverse" if start == 0:
                start, end = end, blocks
            case "inverse" if end == blocks:
                start, end = 0, start
            case "inverse":
                return self
        if start < 0 or start >= end or end > blocks:  # none of the blocks, or more than there are
            return self
        return BlockSelection(which="window", count=end - start, start=start)


BodyGroup = Literal["positions", "norms", "attention", "feedforward", "embeddings"]


class RandomBody(ConfigModel):
    """The architecture's own random initialisation, except for parameter groups that keep their pretrained weights."""

    kind: Literal["random"]
    kept: list[BodyGroup] = Field(min_length=1)
    """Parameter groups that keep their pretrained weights. `embeddings` does not include token embeddings, which are set
    by the condition's `input`."""


class StatisticsBody(ConfigModel):
    """Random weights with the mean and standard deviation of each pretrained tensor (Lu et al. 2021)."""

    kind: Literal["statistics"]


class ScaledBody(ConfigModel):
    """The architecture's own random initialisation, at the scale of the pretrained weights (after Wu et al. 2022, section 5)."""

    kind: Literal["scaled"]
    per: Literal["tensor", "weight"]
    """`tensor`: each tensor has the pretrained root mean square; `weight`: each weight has the pretrained absolute value, and its
    random sign."""
    groups: Annotated[list[BodyGroup], Field(min_length=1)] | None = None
    """Parameter groups with the pretrained scale, such as the norms alone; by default all."""

    def changes(self, group: str) -> bool:
        """Return whether a parameter group has the pretrained scale."""
        return self.groups is None or group in self.groups


class MimeticBody(ConfigModel):
    """The architecture's own random initialisation, with attention weights whose products are close to the identity, as those of
    pretrained models (Trockman & Kolter 2023)."""

    kind: Literal["mimetic"]


class ReinitBody(ConfigModel):
    """Pretrained weights, with some blocks reinitialised (Tamkin et al. 2020)."""

    kind: Literal["reinit"]
    blocks: BlockSelection
    """Blocks to reinitialise."""
    norms: Literal["redrawn", "kept"] = "redrawn"
    """`redrawn` resets the LayerNorms of these blocks to weight 1 and bias 0; `kept` leaves them pretrained."""
    biases: Literal["redrawn", "kept"] = "redrawn"
    """`redrawn` sets the biases of these blocks to 0; `kept` leaves them pretrained, as the published code does."""
    weights: Literal["truncated-normal", "tamkin2020"] = "truncated-normal"
    """`truncated-normal`: standard deviation 0.02, truncated at two standard deviations. `tamkin2020`: the scale that the
    published code actually uses, about forty times smaller."""


class PermutedBody(ConfigModel):
    """The pretrained blocks in a random order (Tamkin et al. 2020)."""

    kind: Literal["permuted"]
    seed: SeedOrRun
    """Random seed of the order; `run` for another order with each seed of the study."""


class TruncatedBody(ConfigModel):
    """Only the first blocks of the body."""

    kind: Literal["truncated"]
    blocks: PositiveInt
    """Number of blocks."""
    of: Literal["pretrained", "random"] = "pretrained"
    """Weights of these blocks: the checkpoint's (`pretrained`), or the architecture's own initialisation (`random`)."""


Body = (
    Literal["pretrained", "random"]
    | Annotated[
        RandomBody | StatisticsBody | ScaledBody | MimeticBody | ReinitBody | PermutedBody | TruncatedBody,
        Field(discriminator="kind"),
    ]
)

RandomInit = Literal["library", "gpt2-2020"]
VitPositions = Literal["checkpoint", "zeros"]


def starts_random(body: Body) -> bool:
    """Return whether a body starts from the architecture's own initialisation."""
    match body:
        case "random" | RandomBody() | ScaledBody() | MimeticBody() | TruncatedBody(of="random"):
            return True
    return False


def needs_weights(body: Body) -> bool:
    """Return whether a body has anything of the checkpoint's weights."""
    match body:
        case "random" | MimeticBody() | TruncatedBody(of="random"):
            return False
    return True
