"""Say what was understood of a task: `crossover check-task`."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from crossover.acquire.dataset import acquire_dataset
from crossover.commands.output import Row, aligned, table, waiting
from crossover.encodings.tokenize import encoder_of, tokenize_task
from crossover.encodings.tokens import Tokens
from crossover.planning.plan import plan_one_task
from crossover.specs.datasets import DatasetSpec
from crossover.specs.descriptions import SPLITS, Card, EncodingDescription, SplitName
from crossover.specs.tasks import TokensSpec
from crossover.tasks.prepare.stage import prepare_task

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN = 3  # items that are encoded and decoded again
WIDTH = 72  # characters of a sequence that are shown
MOST_CLASSES = 25  # classes that are listed

NO_ENCODING = "The encoding takes a checkpoint's tokenizer: add --checkpoint NAME to see it."


@dataclass(frozen=True)
class TaskReport:
    """What was understood of a task.

    Attributes:
        name: the task's name.
        card: the content of its card.json.
        encoding: the content of its encoding.json, or None where a checkpoint's tokenizer is needed and none was named.
        items: lines that show its first items before and after the encoding.
    """

    name: str
    card: Card
    encoding: EncodingDescription | None
    items: tuple[str, ...]

    def text(self) -> str:
        """Return classes, lengths, duplicates and floor, and what the encoding makes of it."""
        lines = [self._head, "", *aligned(_rows_of_card(self.card)), *_lines_of_card(self.card), ""]
        if self.encoding is None:
            return "\n".join([*lines, NO_ENCODING])
        rows = aligned(_rows_of_encoding(self.encoding))
        return "\n".join([*lines, *rows, *_lines_of_encoding(self.encoding), "", *self.items])

    def facts(self) -> dict[str, object]:
        """Return the card and the description of the encoding."""
        encoding = self.encoding.content() if self.encoding else None
        return {"task": self.name, "card": self.card.content(), "encoding": encoding}

    def page(self) -> "RenderableType":
        """Return the text with its numbers in tables."""
        from rich.console import Group
        from rich.text import Text

        def parts(rows: list[Row], lines: Iterable[str]) -> "Iterable[RenderableType]":
            return [table(rows[0], rows[1:], numbers=True), *map(Text, lines)]

        shown = [Text(self._head, style="bold"), *parts(_rows_of_card(self.card), _lines_of_card(self.card))]
        if self.encoding is None:
            return Group(*shown, Text(f"\n{NO_ENCODING}"))
        encoded = parts(_rows_of_encoding(self.encoding), [*_lines_of_encoding(self.encoding), "", *self.items])
        return Group(*shown, *encoded)

    @property
    def _head(self) -> str:
        return f"Task {self.name}: config/tasks/{self.name}.yaml"


def check_task(name: str, checkpoint: str | None = None) -> TaskReport:
    """Acquire, prepare and encode a task; only downloads are kept.

    Args:
        name: of a file in config/tasks/.
        checkpoint: whose tokenizer is used, where the encoding asks for one.

    Raises:
        UserError: the task cannot be made; the sentence says why.
    """
    task, tokens = plan_one_task(name, checkpoint)
    with tempfile.TemporaryDirectory() as folder, waiting(f"reading task {name}"):
        prepared, encoded = Path(folder, "task"), Path(folder, "tokens")
        prepare_task(task.spec, _receipt(task.dataset), prepared)
        card = Card.load(prepared / "card.json")
        if tokens is None:
            return TaskReport(name, card, None, ())
        tokenize_task(tokens.spec, prepared, encoded)
        encoding = EncodingDescription.load(encoded / "encoding.json")
        return TaskReport(name, card, encoding, tuple(_show_items(tokens.spec, card, prepared, encoded)))


def _receipt(dataset: DatasetSpec | None) -> Path | None:
    if dataset is None:
        return None
    receipt = Path(dataset.receipt)
    if not receipt.exists():
        acquire_dataset(dataset, receipt.parent)
    return receipt


def _rows_of_card(card: Card) -> list[Row]:
    rows: list[Row] = [("", *SPLITS), ("items", *_counts(card.items))]
    if card.groups != card.items:
        rows.append(("groups", *_counts(card.groups)))
    if card.classes:
        names = list(dict.fromkeys(label for split in SPLITS for label in card.classes[split]))
        rows += [
            (f"  {label}", *(f"{card.classes[split].get(label, 0):,}" for split in SPLITS))
            for label in names[:MOST_CLASSES]
        ]
        if len(names) > MOST_CLASSES:
            rows.append((f"  and {len(names) - MOST_CLASSES} more classes", "", "", ""))
    spread = [card.lengths[split] for split in SPLITS]
    rows.append((f"{card.unit}, median", *(f"{one.median:,.0f}" for one in spread)))
    rows.append(("  least to most", *(f"{one.minimum:,.0f} to {one.maximum:,.0f}" for one in spread)))
    rows.append(("same sequence twice", *_counts(card.duplicates)))
    rows.append(("also in a split before", "", *(f"{card.leakage[split]:,}" for split in SPLITS[1:])))
    return rows


def _lines_of_card(card: Card) -> list[str]:
    lines = [
        f"floor     {card.floor.score:.4f}  {card.floor.rule}",
        f"score     {card.target.metric}",
    ]
    lines += [f"treated   {count:,} x {what}" for what, count in card.counts.items()]
    lines += [f"left out  {entry.input}: {entry.reason}" for entry in card.skipped[:10]]
    lines += [f"left out  and {len(card.skipped) - 10} more"] if len(card.skipped) > 10 else []
    if card.origin:
        lines += [f"origin    {card.origin.origin}"] if card.origin.origin else []
        lines += [f"SUBSET    {card.origin.subset}"] if card.origin.subset else []
    return lines + [f"note      {note}" for note in card.notes]


def _rows_of_encoding(encoding: EncodingDescription) -> list[Row]:
    rows: list[Row] = [("", *SPLITS)]
    rows.append(("cut at the end", *(f"{encoding.truncated[split]:.1%}" for split in SPLITS)))
    rows.append(("unknown symbols", *_counts(encoding.unknown)))
    kinds = dict.fromkeys(what for split in SPLITS for what in encoding.counts[split])
    rows += [(what, *(f"{encoding.counts[split].get(what, 0):,}" for split in SPLITS)) for what in kinds]
    return rows


def _lines_of_encoding(encoding: EncodingDescription) -> list[str]:
    if encoding.vocabulary:
        spelled = _shortened(" ".join(map(str, encoding.vocabulary)))
        units = f"symbols   {len(encoding.vocabulary):,}: {spelled}"
    else:
        units = f"patches   of {encoding.width} numbers"
    return [units, f"longest   {encoding.longest:,} positions"]


def _show_items(spec: TokensSpec, card: Card, task: Path, tokens: Path) -> Iterable[str]:
    """Show the first training items as they were read, and as they come back from the encoding."""
    table = pq.read_table(task / "train.parquet")
    encoder = encoder_of(spec, card, table)
    encoded = Tokens.open(tokens, "train")
    for number, item in enumerate(table.slice(0, SHOWN).to_pylist()):
        values = encoded.values[encoded.offsets[number] : encoded.offsets[number + 1]]
        yield f"{item['item']}  ->  {_shortened(item['target'])}"
        yield f"    read     {_shortened(item['sequence'])}"
        if item.get("second"):
            yield f"             {_shortened(item['second'])}"
        yield f"    encoded  {_shortened(values)}"
        yield f"    decoded  {_shortened(encoder.decode(values))}"


def _shortened(value: Any) -> str:
    if isinstance(value, str | float):
        text = str(value)
    else:
        text = np.array2string(np.asarray(value).ravel()[:40], max_line_width=10_000)
    text = " ".join(text.split())
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 4]} ..."


def _counts(by_split: Mapping[SplitName, int]) -> list[str]:
    return [f"{by_split[split]:,}" for split in SPLITS]
