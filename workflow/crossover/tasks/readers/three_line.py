"""Records of three lines: name, sequence, label."""

from collections.abc import Iterator
from typing import Any

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items
from crossover.tasks.readers.raw import Record, files_by_split, gather, open_text


def read(settings: dict[str, Any], receipt: Receipt) -> Items:
    """Read the form in which Yin et al. (2018, Hilbert-CNN) publish histone tasks.

    Args:
        settings: `file` or `files`, `encoding`, `labels`.
        receipt: the files.

    Returns:
        One item per record, named by the text after `>`.

    Raises:
        UserError: a record has no `>`, or the last one is not whole.
    """
    return gather(_records(settings, receipt), settings, receipt, unit="letters")


def _records(settings: dict[str, Any], receipt: Receipt) -> Iterator[Record]:
    for split, file in files_by_split(settings, receipt):
        with open_text(receipt.root / file, settings["encoding"]) as stream:
            lines = ((number, line.strip()) for number, line in enumerate(stream, start=1))
            for number, name in lines:
                if not name:
                    continue  # at the end
                source = f"{file}:{number}"
                if not name.startswith(">"):
                    raise UserError(
                        f"{source}: expected > and a name, the first of three lines, but found {name[:40]!r}."
                    )
                (_, sequence), (_, label) = next(lines, (0, "")), next(lines, (0, ">"))
                if label.startswith(">"):
                    raise UserError(
                        f"{source}: the record of {name[1:]!r} is not whole; expected name, sequence and label."
                    )
                record = {"source": source, "item": name[1:], "sequence": sequence, "target": label or None}
                yield record | ({"split": split} if split else {})
