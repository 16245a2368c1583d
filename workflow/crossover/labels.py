"""Short labels for the bodies, inputs and trained parameters of conditions; different choices have different labels.

Labels stand in tables and in the report, and never in a hash.
"""

from crossover.config.base import SeedOrRun
from crossover.config.bodies import (
    BlockSelection,
    Body,
    MimeticBody,
    PermutedBody,
    RandomBody,
    ReinitBody,
    ScaledBody,
    StatisticsBody,
    TruncatedBody,
)
from crossover.config.conditions import Group, Preset, TrainedPart
from crossover.config.inputs import Input, ShiftInput


def body_kind(body: Body) -> str:
    """Return the kind of a body, such as `permuted`; bodies that differ only in their settings share it."""
    match body:
        case str():
            return body
        case RandomBody():
            return "partly random"
        case TruncatedBody(of="random"):
            return "truncated random"
    return body.kind


def body_name(body: Body) -> str:
    """Return the label of a body, with its settings."""
    match body:
        case str():
            return body
        case RandomBody(kept=kept):
            return f"random but {', '.join(kept)}"
        case StatisticsBody() | MimeticBody():
            return body.kind
        case ScaledBody(per=per, groups=groups):
            return f"scaled per {per}" + (f": {', '.join(groups)}" if groups else "")
        case ReinitBody():
            return _reinit_name(body)
        case PermutedBody(seed=seed):
            return f"permuted, {_seed_name(seed)}"
        case TruncatedBody(blocks=blocks, of=of):
            return f"truncated {blocks}" + (" random" if of == "random" else "")


def _reinit_name(body: ReinitBody) -> str:
    labels = [f"reinit {blocks_name(body.blocks)}"]
    labels += ["norms kept"] if body.norms == "kept" else []
    labels += ["biases kept"] if body.biases == "kept" else []
    labels += [body.weights] if body.weights != "truncated-normal" else []
    return ", ".join(labels)


def input_kind(entry: Input) -> str:
    """Return the kind of an input, such as `shift`; inputs that differ only in their settings share it."""
    return entry if isinstance(entry, str) else entry.kind


def input_name(entry: Input) -> str:
    """Return the label of an input, with its settings."""
    if isinstance(entry, str):
        return entry
    return f"{entry.kind} by {entry.by}" if isinstance(entry, ShiftInput) else f"{entry.kind}, {_seed_name(entry.seed)}"


def _seed_name(seed: SeedOrRun) -> str:
    return "seed of the run" if seed == "run" else f"seed {seed}"


def trained_name(trained: Preset | list[Group | Preset | TrainedPart]) -> str:
    """Return the label of the trained parameters: the preset, or the groups joined by +."""
    return trained if isinstance(trained, str) else "+".join(map(_part_name, trained))


def _part_name(part: Group | Preset | TrainedPart) -> str:
    if isinstance(part, str):
        return part
    blocks = f" of {blocks_name(part.blocks)}" if part.blocks else ""
    multiple = f" at {part.rate:g} times the rate" if part.rate != 1 else ""
    rate = multiple if part.rate else " frozen"
    adapters = f"changes of rank {part.lora.rank} (alpha {part.lora.alpha:g}) of " if part.lora else ""
    biases = "biases of " if part.only else ""
    return f"{adapters}{biases}{' and '.join(part.groups)}{blocks}{rate}"


def blocks_name(blocks: BlockSelection) -> str:
    """Return the label of a selection of blocks, counted from 0, such as `window 3-5`."""
    if blocks.which in ("first", "last"):
        return f"{blocks.which} {blocks.count}"
    return f"{blocks.which} {blocks.start}-{blocks.start + blocks.count - 1}"
