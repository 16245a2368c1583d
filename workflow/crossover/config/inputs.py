"""Inputs: how sequences enter the model, as named by the conditions of config/conditions.yaml."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from crossover.config.base import ConfigModel, SeedOrRun


class ShiftInput(ConfigModel):
    """Pretrained embeddings of other tokens: token ids are shifted by a constant, modulo the vocabulary size (Kao & Lee
    2021)."""

    kind: Literal["shift"]
    by: PositiveInt
    """Number added to each token id."""


class PermutationInput(ConfigModel):
    """Pretrained embeddings of other tokens: token ids are permuted at random (Kao & Lee 2021, `random_shift`)."""

    kind: Literal["permutation"]
    seed: SeedOrRun = 0
    """Random seed of the permutation; `run` for another one with each seed of the study, as in the published code."""


class TableInput(ConfigModel):
    """Pretrained embeddings of other tokens: token ids are mapped by the table of Kao & Lee (2021).

    The last 1000 ids become 0 to 999; all others become a random permutation of the ids from 1000 on.
    """

    kind: Literal["table"]
    seed: SeedOrRun = 100
    """Random seed of the permutation; `run` for another one with each seed of the study. The published tables, one for each
    seed, cannot be reproduced, since they were drawn without one."""


Input = (
    Literal["new", "pretrained", "re-embedded"]
    | Annotated[ShiftInput | PermutationInput | TableInput, Field(discriminator="kind")]
)

InputScale = Literal["checkpoint", "lu2021"] | PositiveFloat
