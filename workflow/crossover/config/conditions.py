"""Conditions: body x input x trained, the entries of config/conditions.yaml."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator, model_validator

from crossover.config.base import ConfigModel, TitledModel
from crossover.config.bodies import BlockSelection, Body, ReinitBody, TruncatedBody
from crossover.config.inputs import Input
from crossover.config.recipes import TrainingKind

Group = Literal["head", "input", "positions", "norms", "attention", "feedforward", "embeddings"]
Preset = Literal["all", "frozen", "head"]

# Presets of `trained`. `frozen` is the set of Lu et al. 2021 (section 2.2): attention and feed-forward weights are
# frozen. `head` alone is their "output layer only" (a reservoir), and the probe of Tamkin et al. 2020.
TRAINED_PRESETS: dict[str, tuple[Group, ...]] = {
    "all": ("head", "input", "positions", "norms", "attention", "feedforward", "embeddings"),
    "frozen": ("head", "input", "positions", "norms"),
    "head": ("head",),
}
GROUPS_IN_BLOCKS = {"norms", "attention", "feedforward"}  # every block has parameters of these groups


class LoRA(ConfigModel):
    """LoRA adapters of linear layers (Hu et al. 2022)."""

    rank: PositiveInt = 8
    """Rank of the adapters."""
    alpha: PositiveFloat = 16
    """Scaling: an adapter's output is multiplied by alpha / rank."""


class TrainedPart(ConfigModel):
    """Parameters that are trained with settings of their own, such as another learning rate."""

    groups: Annotated[list[Group], Field(min_length=1)]
    """Parameter groups."""
    blocks: BlockSelection | None = None
    """Restrict the groups to these blocks; by default all their parameters, inside and outside of blocks."""
    only: Literal["biases"] | None = None
    """Train the `biases` of these parameters alone (BitFit: Ben Zaken et al. 2022), instead of all of them."""
    rate: NonNegativeFloat = 1.0
    """Multiplier of the run's learning rate; 0 freezes what earlier entries train."""
    lora: LoRA | None = None
    """Train LoRA adapters of the groups' linear layers; the layers' own weights stay frozen."""

    @model_validator(mode="after")
    def lora_needs_linear_layers(self) -> "TrainedPart":
        """Raise if LoRA is set for groups without linear layers."""
        if self.lora and not set(self.groups) <= {"attention", "feedforward"}:
            raise ValueError("lora is only for the groups attention and feedforward; put other groups in another entry")
        if self.lora and (self.only or not self.rate):
            raise ValueError(
                "lora adds adapters, which have no biases and are always trained; remove `only` and `rate: 0`"
            )
        return self

    @model_validator(mode="after")
    def blocks_need_groups_in_blocks(self) -> "TrainedPart":
        """Raise if a group outside of blocks is restricted to some blocks."""
        outside = [group for group in self.groups if group not in GROUPS_IN_BLOCKS]
        if self.blocks and outside:
            raise ValueError(f"{outside[0]} is not part of the blocks; put it in another entry, without blocks")
        return self


class Condition(TitledModel):
    """One entry of config/conditions.yaml: which weights to start from, how sequences enter, which weights are trained."""

    body: Body
    """Initial weights of the transformer: the checkpoint's, the architecture's own initialisation, or a mixture."""
    input: Input = "new"
    """How sequences enter: through a `new` input layer, through the checkpoint's own token embeddings, or its input layer if it
    was pretrained on patches (`pretrained`), through a random table of the same size (`re-embedded`), or through the pretrained embeddings of other tokens."""
    trained: Preset | Annotated[list[Group | Preset | TrainedPart], Field(min_length=1)]
    """Parameters to train: a preset, or a list of presets, groups, and parts with settings of their own. Later parts override
    earlier ones, and parts override presets and groups. The preset `frozen` trains head, input, positions and norms."""

    @field_validator("body")
    @classmethod
    def no_block_reinitialised_is_pretrained(cls, body: Body) -> Body:
        """Return the pretrained body for the end of a range such as `reinit-last: {count: 0..12}`, so that it is named as what it is."""
        return "pretrained" if isinstance(body, ReinitBody) and not body.blocks.count else body

    @field_validator("trained")
    @classmethod
    def parts_of_no_block_are_left_out(
        cls, trained: Preset | list[Group | Preset | TrainedPart]
    ) -> Preset | list[Group | Preset | TrainedPart]:
        """Return what is trained without parts of 0 blocks, at the end of such a range.

        Raises:
            ValueError: nothing else is trained.
        """
        if isinstance(trained, str):
            return trained
        parts = [entry for entry in trained if isinstance(entry, str) or not entry.blocks or entry.blocks.count]
        if not parts:
            raise ValueError("count is 0, and nothing else is trained; add head")
        return parts

    def of_blocks(self, blocks: int) -> "Condition":
        """Return the condition for a body of so many blocks; what two conditions say in different words becomes equal."""
        body, trained = self.body, self.trained
        if isinstance(body, ReinitBody):
            body = body.model_copy(update={"blocks": body.blocks.as_window(blocks)})
        if not isinstance(trained, str):
            trained = [
                part.model_copy(update={"blocks": part.blocks.as_window(blocks)})
                if isinstance(part, TrainedPart) and part.blocks
                else part
                for part in trained
            ]
        return self.model_copy(update={"body": body, "trained": trained})

    @property
    def blocks_needed(self) -> int:
        """The number of blocks that a body must have."""
        selections = [part.blocks for part in self.trained_parts if part.blocks]
        selections += [self.body.blocks] if isinstance(self.body, ReinitBody) else []
        whole = self.body.blocks if isinstance(self.body, TruncatedBody) else 0
        return max([whole, *(selection.start + selection.count for selection in selections)])

    @property
    def trained_parts(self) -> tuple[TrainedPart, ...]:
        """Return the trained parts with presets resolved: whole groups first, in a fixed order, then parts as listed."""
        entries = [self.trained] if isinstance(self.trained, str) else self.trained
        named = {group for entry in entries if isinstance(entry, str) for group in TRAINED_PRESETS.get(entry, (entry,))}
        whole = [group for group in TRAINED_PRESETS["all"] if group in named]
        parts = [entry for entry in entries if isinstance(entry, TrainedPart)]
        return tuple(([TrainedPart(groups=whole)] if whole else []) + parts)

    @property
    def training_kind(self) -> TrainingKind:
        """Return what of the body's attention and feed-forward weights is trained: none, LoRA adapters, or weights."""
        weights: set[Group] = set()
        adapters = False
        for part in self.trained_parts:
            groups = {group for group in part.groups if group in ("attention", "feedforward")}
            if part.rate and not part.only:
                weights |= set() if part.lora else groups
                adapters |= bool(part.lora)
            elif not part.rate and not part.only and not part.blocks:
                weights -= groups
        if weights:
            return "all"
        return "lora" if adapters else "frozen"
