"""What a checkpoint is made of, as a table: `crossover view`."""

import re
from collections import Counter
from pathlib import Path

from crossover.config.conditions import TRAINED_PRESETS
from crossover.config.load import known_names
from crossover.errors import UserError
from crossover.models.architecture import group_of
from crossover.models.derive import view_of
from crossover.models.load import load_body, load_config
from crossover.planning.plan import folder_of_checkpoint


def describe_checkpoint(name: str) -> str:
    """Blocks, groups and numbers of parameters of a checkpoint.

    Args:
        name: of a file in config/checkpoints/, or a folder in Hugging Face form.

    Raises:
        UserError: it cannot be loaded, or crossover has no view of its architecture.
    """
    folder = _folder(name)
    config = load_config(folder)
    architecture = view_of(config)
    body = load_body(folder, config)
    counts: Counter[tuple[str, str]] = Counter()
    for parameter, tensor in body.named_parameters():
        block = re.match(rf"{re.escape(architecture.blocks)}\.(\d+)\.", parameter)
        counts[f"block {block[1]}" if block else "outside", group_of(architecture, parameter)] += tensor.numel()
    rows = sorted({row for row, _ in counts}, key=lambda row: (row == "outside", len(row), row))
    groups = [group for group in TRAINED_PRESETS["all"] if any(group == found for _, found in counts)]
    table = [("", *groups, "all")]
    table += [(row, *(f"{counts[row, group]:,}" for group in groups), f"{_sum(counts, row):,}") for row in rows]
    sums = [f"{sum(counts[row, group] for row in rows):,}" for group in groups]
    table.append(("all", *sums, f"{sum(counts.values()):,}"))
    longest = architecture.longest(config)
    head = [
        f"{folder}: {config.model_type}, {len(body.get_submodule(architecture.blocks))} blocks, "
        f"{architecture.widths(config)[1]} wide, {f'{longest} positions' if longest else 'positions without a limit'}",
        "",
    ]
    return "\n".join(
        [*head, *_aligned(table), "", "New input layers and heads are not counted: they depend on the task."]
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
    return sum(count for (found, _), count in counts.items() if found == row)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
