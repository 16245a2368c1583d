"""Bodies: the weights inside, as the conditions of config/conditions.yaml name them."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from crossover.config.base import Model


class Blocks(Model):
    """Which blocks are meant."""

    which: Literal["first", "last", "window", "inverse"]
    """The first or the last ones, a window, or all but a window."""
    count: PositiveInt
    """Their number; of a window, its length."""
    start: NonNegativeInt = 0
    """The first block of a window, counted from 0."""

    @model_validator(mode="after")
    def started_rightly(self) -> "Blocks":
        """Only windows start somewhere."""
        if self.start and self.which in ("first", "last"):
            raise ValueError(f"start belongs to a window; leave it out for the {self.which} blocks")
        return self


class RandomBody(Model):
    """The architecture's own initialisation, but for some groups that keep their pretrained weights."""

    kind: Literal["random"]
    kept: list[Literal["positions", "norms", "attention", "feedforward", "embeddings"]] = Field(min_length=1)
    """These groups; of the embeddings those of tokens are the input's, and not meant."""


class StatisticsBody(Model):
    """Random weights with the mean and the deviation of each pretrained tensor (Lu et al. 2021)."""

    kind: Literal["statistics"]


class ReinitBody(Model):
    """Pretrained weights but for some blocks, which are drawn anew (Tamkin et al. 2020)."""

    kind: Literal["reinit"]
    blocks: Blocks
    """The blocks that are drawn anew."""
    norms: Literal["redrawn", "kept"] = "redrawn"
    """Whether their LayerNorms are set to 1 and 0."""
    biases: Literal["redrawn", "kept"] = "redrawn"
    """Whether their biases are set to 0; the published code keeps them."""
    weights: Literal["truncated-normal", "tamkin2020"] = "truncated-normal"
    """A normal of deviation 0.02 cut at two deviations, or the some forty times smaller scale that the published code used."""


class PermutedBody(Model):
    """The pretrained blocks in another order (Tamkin et al. 2020)."""

    kind: Literal["permuted"]
    seed: int
    """Seed of the order."""


class TruncatedBody(Model):
    """The first blocks alone."""

    kind: Literal["truncated"]
    blocks: PositiveInt
    """How many."""
    of: Literal["pretrained", "random"] = "pretrained"
    """Whose blocks they are: the checkpoint's, or those of the architecture's own initialisation."""


Body = (
    Literal["pretrained", "random"]
    | Annotated[RandomBody | StatisticsBody | ReinitBody | PermutedBody | TruncatedBody, Field(discriminator="kind")]
)
