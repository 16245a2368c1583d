"""Inputs: how sequences enter a body, as the conditions of config/conditions.yaml name it."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from crossover.config.base import Model


class ShiftInput(Model):
    """The pretrained embeddings of other tokens: the one by `by` further on, as in a ring (Kao & Lee 2021)."""

    kind: Literal["shift"]
    by: PositiveInt
    """How far."""


class PermutationInput(Model):
    """The pretrained embeddings of other tokens: a permutation of all (Kao & Lee 2021, `random_shift`)."""

    kind: Literal["permutation"]
    seed: int = 0
    """Seed of the permutation."""


class TableInput(Model):
    """The pretrained embeddings of other tokens: Kao & Lee's (2021) table.

    The tokens become a permutation of those from 1000 on, the last 1000 become 0 to 999.
    """

    kind: Literal["table"]
    seed: int = 100
    """Seed of the permutation; theirs cannot be drawn again, since it was not seeded."""


Input = (
    Literal["new", "pretrained", "re-embedded"]
    | Annotated[ShiftInput | PermutationInput | TableInput, Field(discriminator="kind")]
)
