"""Show the blocks and parameter groups of a checkpoint as a table: `crossover view`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crossover.commands.output import Row, aligned, table
from crossover.config.conditions import TRAINED_PRESETS
from crossover.config.load import known_names
from crossover.errors import UserError
from crossover.models.derive import adapter_for
from crossover.models.load import load_body, load_config
from crossover.models.patch_input import load_patch_input
from crossover.models.surgery import blocks_of
from crossover.planning.checkpoints import plan_checkpoint
from crossover.specs.descriptions import CheckpointDescription

if TYPE_CHECKING:
    from rich.console import RenderableType

NOT_COUNTED = "New input layers and heads are not counted: they depend on the task."


@dataclass(frozen=True)
class CheckpointView:
    """What a checkpoint is made of.

    Attributes:
        folder: where it lies.
        model_type: its architecture, as Hugging Face calls it.
        blocks: number of its blocks.
        width: size of the vectors between blocks.
        positions: most positions of a sequence, or None without a limit.
        counts: number of parameters by part (`block 0`, ..., `outside`) and group.
        changes: how its files differ from those that were published, in words.
        patch: values of the patches that it was pretrained on; None where it reads tokens.
    """

    folder: Path
    model_type: str
    blocks: int
    width: int
    positions: int | None
    counts: Mapping[tuple[str, str], int]
    changes: tuple[str, ...]
    patch: int | None

    @property
    def head(self) -> str:
        """Its architecture and sizes, and what was done to it, in one line."""
        limit = f"{self.positions} positions" if self.positions else "positions without a limit"
        changed = f" ({'; '.join(self.changes)})" if self.changes else ""
        patches = f", pretrained on patches of {self.patch} values" if self.patch else ""
        return f"{self.folder}: {self.model_type}, {self.blocks} blocks, {self.width} wide, {limit}{patches}{changed}"

    def rows(self) -> list[Row]:
        """Return the table of parameters: groups from left to right, parts from top to bottom, and sums."""
        parts = sorted({part for part, _ in self.counts}, key=lambda part: (part == "outside", len(part), part))
        groups = [group for group in TRAINED_PRESETS["all"] if any(group == found for _, found in self.counts)]
        rows: list[Row] = [("", *groups, "all")]
        for part in parts:
            counts = [self.counts.get((part, group), 0) for group in groups]
            rows.append((part, *(f"{count:,}" for count in counts), f"{self._sum(part):,}"))
        sums = [f"{sum(self.counts.get((part, group), 0) for part in parts):,}" for group in groups]
        return [*rows, ("all", *sums, f"{sum(self.counts.values()):,}")]

    def _sum(self, part: str) -> int:
        return sum(count for (found, _), count in self.counts.items() if found == part)

    def text(self) -> str:
        """Return the sizes and the table of parameters."""
        return "\n".join([self.head, "", *aligned(self.rows()), "", NOT_COUNTED])

    def facts(self) -> dict[str, object]:
        """Return the sizes, and the number of parameters of each group in each part."""
        parameters: dict[str, dict[str, int]] = {}
        for (part, group), count in self.counts.items():
            parameters.setdefault(part, {})[group] = count
        sizes = {"blocks": self.blocks, "width": self.width, "positions": self.positions, "patch": self.patch}
        about = {"folder": str(self.folder), "model_type": self.model_type, "changes": self.changes}
        return {**about, **sizes, "parameters": parameters}

    def page(self) -> "RenderableType":
        """Return the sizes and the table of parameters."""
        from rich.console import Group
        from rich.text import Text

        head, *rows = self.rows()
        return Group(Text(self.head, style="bold"), table(head, rows, numbers=True), NOT_COUNTED)


def view_checkpoint(name: str) -> CheckpointView:
    """Load a checkpoint, and count the parameters of its blocks and groups.

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
        part = "outside" if block is None else f"block {block}"
        counts[part, adapter.group_of(parameter)] += tensor.numel()
    blocks, width = len(blocks_of(body, adapter)), adapter.widths(config)[1]
    record = folder / "checkpoint.json"
    changes = CheckpointDescription.load(record).changes if record.is_file() else ()
    patch_input = load_patch_input(folder)
    patch = patch_input.in_features if patch_input else None
    return CheckpointView(folder, config.model_type, blocks, width, adapter.max_length(config), counts, changes, patch)


def _folder(name: str) -> Path:
    if name not in known_names("checkpoints"):
        return Path(name)
    folder = Path(plan_checkpoint(name).files.folder)
    if not folder.is_dir():
        raise UserError(
            f"checkpoint {name} is not there yet ({folder} is missing); run snakemake with a study that uses it."
        )
    return folder
