"""Conditions: body x input x trained, the entries of config/conditions.yaml."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from crossover.config.base import Described, Model
from crossover.config.bodies import Blocks, Body
from crossover.config.inputs import Input

Group = Literal["head", "input", "positions", "norms", "attention", "feedforward", "embeddings"]
Preset = Literal["all", "frozen", "head"]

# Presets of the trained parameters. `frozen` is the set of Lu et al. 2021 (section 2.2): attention and
# feed-forward weights keep their values. `head` alone is their "output layer only" (a reservoir), and the probe of
# Tamkin et al. 2020.
TRAINED_PRESETS: dict[str, tuple[Group, ...]] = {
    "all": ("head", "input", "positions", "norms", "attention", "feedforward", "embeddings"),
    "frozen": ("head", "input", "positions", "norms"),
    "head": ("head",),
}
IN_BLOCKS = {"norms", "attention", "feedforward"}  # the groups that every block has


class LowRank(Model):
    """Low-rank changes of linear layers (LoRA, Hu et al. 2022)."""

    rank: PositiveInt = 8
    """Rank of a change."""
    alpha: PositiveFloat = 16
    """Its weight is alpha / rank."""


class Part(Model):
    """Parameters that are trained in a way of their own; what an earlier entry says of them does not count."""

    groups: Annotated[list[Group], Field(min_length=1)]
    """The groups that are meant."""
    blocks: Blocks | None = None
    """Only their parameters in these blocks; by default all, and those outside of blocks too."""
    rate: PositiveFloat = 1.0
    """Their learning rate, as a multiple of the run's."""
    lora: LowRank | None = None
    """Changes of low rank of their linear layers are trained, and their own weights are not."""

    @model_validator(mode="after")
    def within_blocks(self) -> "Part":
        """Only what every block has can be limited to some of them, and only linear layers have changes of low rank."""
        if self.lora and not set(self.groups) <= {"attention", "feedforward"}:
            raise ValueError("lora is for the groups attention and feedforward; name others in an entry of their own")
        outside = [group for group in self.groups if group not in IN_BLOCKS]
        if self.blocks and outside:
            raise ValueError(f"{outside[0]} lies outside of the blocks; name it in an entry without blocks")
        return self


class Condition(Described):
    """One entry of config/conditions.yaml: how a run uses its checkpoint."""

    body: Body
    """The weights inside: the checkpoint's, the architecture's own initialisation, or something between."""
    input: Input = "new"
    """How sequences enter: through a new layer, or through token embeddings of the checkpoint's size."""
    trained: Preset | Annotated[list[Group | Preset | Part], Field(min_length=1)]
    """The parameters that receive gradients: a preset, or a list of groups, presets and parts of groups."""

    @property
    def trained_parts(self) -> tuple[Part, ...]:
        """What is trained, presets resolved: whole groups in a fixed order, then the parts in theirs."""
        entries = [self.trained] if isinstance(self.trained, str) else self.trained
        named = {group for entry in entries if isinstance(entry, str) for group in TRAINED_PRESETS.get(entry, (entry,))}
        whole = [group for group in TRAINED_PRESETS["all"] if group in named]
        parts = [entry for entry in entries if isinstance(entry, Part)]
        return tuple(([Part(groups=whole)] if whole else []) + parts)
