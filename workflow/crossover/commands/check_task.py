"""Say what was understood of a task: `crossover check-task`."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from crossover.acquire.dataset import acquire_dataset
from crossover.encodings.tokenize import encoder_of, tokenize_task
from crossover.encodings.tokens import Tokens
from crossover.files import read_sealed_json
from crossover.planning.plan import plan_task
from crossover.tasks.items import SPLITS
from crossover.tasks.prepare.stage import prepare_task

SHOWN = 3  # items that are encoded and decoded again
WIDTH = 72  # characters of a sequence that are shown
MOST_CLASSES = 25  # classes that are listed

Facts = dict[str, Any]


def check_task(name: str, checkpoint: str | None = None) -> str:
    """Acquire, prepare and encode a task, and describe it in words; only downloads are kept.

    Args:
        name: of a file in config/tasks/.
        checkpoint: whose tokenizer is used, where the encoding asks for one.

    Raises:
        UserError: the task cannot be made; the sentence says why.
    """
    specs = plan_task(name, checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder, "task")
        assert specs["task"]
        prepare_task(specs["task"], _receipt(specs["dataset"]), task)
        card = read_sealed_json(task / "card.json")
        lines = [f"Task {name}: config/tasks/{name}.yaml", "", *_describe(card)]
        if specs["tokens"] is None:
            return "\n".join(
                [*lines, "", "The encoding takes a checkpoint's tokenizer: add --checkpoint NAME to see it."]
            )
        tokens = Path(folder, "tokens")
        tokenize_task(specs["tokens"], task, tokens)
        encoding = read_sealed_json(tokens / "encoding.json")
        lines += ["", *_describe_encoding(encoding), "", *_show_items(specs["tokens"], card, task, tokens)]
    return "\n".join(lines)


def _receipt(dataset: Any) -> Path | None:
    if dataset is None:
        return None
    receipt = Path("resources/downloads") / dataset["name"] / "dataset.json"
    if not receipt.exists():
        acquire_dataset(dataset, receipt.parent)
    return receipt


def _describe(card: Facts) -> list[str]:
    rows: list[tuple[str, ...]] = [("", *SPLITS), ("items", *_counts(card["items"]))]
    if card["groups"] != card["items"]:
        rows.append(("groups", *_counts(card["groups"])))
    if card["classes"]:
        names = list(dict.fromkeys(label for split in SPLITS for label in card["classes"][split]))
        rows += [
            (f"  {label}", *(f"{card['classes'][split].get(label, 0):,}" for split in SPLITS))
            for label in names[:MOST_CLASSES]
        ]
        if len(names) > MOST_CLASSES:
            rows.append((f"  and {len(names) - MOST_CLASSES} more classes", "", "", ""))
    spread = [card["lengths"][split] for split in SPLITS]
    rows.append((f"{card['unit']}, median", *(f"{one['median']:,.0f}" for one in spread)))
    rows.append(("  least to most", *(f"{one['minimum']:,.0f} to {one['maximum']:,.0f}" for one in spread)))
    rows.append(("same sequence twice", *_counts(card["duplicates"])))
    rows.append(("also in a split before", "", *(f"{card['leakage'][split]:,}" for split in SPLITS[1:])))
    lines = _aligned(rows)
    lines += [
        f"floor     {card['floor']['score']:.4f}  {card['floor']['rule']}",
        f"score     {card['target']['metric']}",
    ]
    lines += [f"treated   {count:,} x {what}" for what, count in card["counts"].items()]
    lines += [f"left out  {entry['input']}: {entry['reason']}" for entry in card["skipped"][:10]]
    lines += [f"left out  and {len(card['skipped']) - 10} more"] if len(card["skipped"]) > 10 else []
    origin = card["origin"] or {}
    lines += [f"origin    {origin['origin']}"] if origin.get("origin") else []
    lines += [f"SUBSET    {origin['subset']}"] if origin.get("subset") else []
    return lines + [f"note      {note}" for note in card["notes"]]


def _describe_encoding(encoding: Facts) -> list[str]:
    rows: list[tuple[str, ...]] = [("", *SPLITS)]
    rows.append(("cut at the end", *(f"{encoding['truncated'][split]:.1%}" for split in SPLITS)))
    rows.append(("unknown symbols", *_counts(encoding["unknown"])))
    kinds = dict.fromkeys(what for split in SPLITS for what in encoding["counts"][split])
    rows += [(what, *(f"{encoding['counts'][split].get(what, 0):,}" for split in SPLITS)) for what in kinds]
    lines = _aligned(rows)
    if encoding["vocabulary"]:
        lines.append(
            f"symbols   {len(encoding['vocabulary']):,}: {_shortened(' '.join(map(str, encoding['vocabulary'])))}"
        )
    else:
        lines.append(f"patches   of {encoding['width']} numbers")
    return [*lines, f"longest   {encoding['longest']:,} positions"]


def _show_items(spec: Facts, card: Facts, task: Path, tokens: Path) -> Iterable[str]:
    """The first training items as they were read, and as they come back from the encoding."""
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


def _counts(by_split: dict[str, int]) -> list[str]:
    return [f"{by_split[split]:,}" for split in SPLITS]


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]).rstrip() for row in rows]  # fmt: skip
