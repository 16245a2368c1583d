"""Which parameters of a model are trained, and at what learning rate."""

from collections.abc import Sequence

from crossover.config.conditions import TrainedPart
from crossover.errors import UserError
from crossover.models.adapter import Adapter
from crossover.models.derive import adapter_for
from crossover.models.lora import original_name
from crossover.models.module import SequenceModel
from crossover.models.surgery import blocks_of, select_blocks
from crossover.specs.descriptions import ParameterCounts


def trained_rates(
    model: SequenceModel, trained: Sequence[TrainedPart], adapter: Adapter, input_group: str
) -> dict[str, float]:
    """Return the trained parameters by name, each with its multiple of the learning rate.

    A new pooler belongs to the head; that of the checkpoint is a feed-forward layer of its own, outside of the blocks.

    Args:
        model: body, input layer and head.
        trained: parts of the model; later parts override earlier ones.
        adapter: the body's.
        input_group: `input` for an input layer that is new, `embeddings` for the checkpoint's own.

    Raises:
        UserError: a part names blocks that the body does not have, or nothing is trained.
    """
    places: dict[str, tuple[str, int | None, bool]] = {}  # group, block, and whether it is a LoRA adapter's
    pooler_group = "head" if model.read_settings.pooler == "new" else "feedforward"
    outside = {"input": input_group, "pooler": pooler_group, "head": "head"}
    for name, _ in model.named_parameters():
        (place, inside), is_lora = name.split(".", 1), False
        group, block = outside.get(place, ""), None
        if place == "body":
            inside, is_lora = original_name(inside)
            group, block = adapter.group_of(inside), adapter.block_of(inside)
        places[name] = group, block, is_lora
    depth = len(blocks_of(model.body, adapter))
    rates = {}
    for part in trained:
        blocks = select_blocks(part.blocks, depth, "trained") if part.blocks else None
        for name, (group, block, is_lora) in places.items():
            chosen = group in part.groups and (blocks is None or block in blocks) and is_lora == bool(part.lora)
            if chosen and (part.only is None or is_bias(name)):
                rates[name] = part.rate
    rates = {name: rate for name, rate in rates.items() if rate}
    if not rates:
        names = ", ".join(group for part in trained for group in part.groups)
        raise UserError(
            f"the model has no parameters of the groups that are to be trained ({names}); add head to them."
        )
    return rates


def count_parameters(model: SequenceModel, longest: int) -> ParameterCounts:
    """Count the parameters of a model.

    Args:
        model: with the parameters that are trained set.
        longest: positions of the longest sequence.
    """
    config = model.body.config
    adapter = adapter_for(config)
    trained = {name: one.numel() for name, one in model.named_parameters() if one.requires_grad}
    width, limited = adapter.widths(config)[0], adapter.max_length(config) is not None
    unused = sum(
        max(size - longest * width, 0)
        for name, size in trained.items()
        if limited and name.startswith("body.") and adapter.group_of(original_name(name[5:])[0]) == "positions"
    )
    total = sum(parameter.numel() for parameter in model.parameters())
    return ParameterCounts(trained=sum(trained.values()), used=sum(trained.values()) - unused, total=total)


def is_bias(name: str) -> bool:
    """Return whether a parameter is a bias, by its name: `bias`, or `bias_ih_l0` of an LSTM."""
    return name.rsplit(".", 1)[-1].startswith("bias")
