"""Print the blocks and parameter groups of a checkpoint as a table: `crossover view`."""

from collections import Counter
from pathlib import Path

from crossover.config.conditions import TRAINED_PRESETS
from crossover.config.load import known_names
from crossover.errors import UserError
from crossover.models.derive import adapter_for
from crossover.models.load import load_body, load_config
from crossover.models.surgery import blocks_of
from crossover.planning.plan import folder_of_checkpoint


def describe_checkpoint(name: str) -> str:
    """Return a table of a checkpoint's parameters by block and group.

    Args:
        name: of a file in config/checkpoints/, or a folder in Hugging Face form.

    Raises:
        UserError: it cannot be loaded, or crossover has no adapter for its architecture.
    """
    folder = _folder(name)
    config = load_config(folder)
    adapter = adapter_for(config)
    body = load_body(folder, config)
    counts: Counter[tuple[str, str]] = Counter()
    for parameter, tensor in body.named_parameters():
        block = adapter.block_of(parameter)
        row = "outside" if block is None else f"block {block}"
        counts[row, adapter.group_of(parameter)] += tensor.numel()
    rows = sorted({row for row, _ in counts}, key=lambda row: (row == "outside", len(row), row))
    groups = [group for group in TRAINED_PRESETS["all"] if any(group == counted for _, counted in counts)]
    table = [("", *groups, "all")]
    table += [(row, *(f"{counts[row, group]:,}" for group in groups), f"{_sum(counts, row):,}") for row in rows]
    sums = [f"{sum(counts[row, group] for row in rows):,}" for group in groups]
    table.append(("all", *sums, f"{sum(counts.values()):,}"))
    max_length = adapter.max_length(config)
    head = (
        f"{folder}: {config.model_type}, {len(blocks_of(body, adapter))} blocks, {adapter.widths(config)[1]} wide, "
        f"{f'{max_length} positions' if max_length else 'positions without a limit'}"
    )
    return "\n".join(
        [head, "", *_aligned(table), "", "New input layers and heads are not counted: they depend on the task."]
    )


def _folder(name: str) -> Path:
    if name not in known_names("checkpoints"):
        return Path(name)
    folder = folder_of_checkpoint(name)
    if not folder.is_dir():
        raise UserError(
            f"checkpoint {name} is not there yet ({folder} is missing); run snakemake with a study that uses it."
        )
    return folder


def _sum(counts: Counter[tuple[str, str]], row: str) -> int:
    return sum(count for (counted, _), count in counts.items() if counted == row)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
