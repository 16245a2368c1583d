"""Records of three lines: name, sequence, label."""

from collections.abc import Iterator

from crossover.config.text_readers import ThreeLineReader
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt
from crossover.tasks.items import Items
from crossover.tasks.readers.raw import RawItem, files_by_split, gather
from crossover.text_files import open_text


def read(reader: ThreeLineReader, receipt: Receipt) -> Items:
    """Read the format in which Yin et al. (2018, Hilbert-CNN) publish histone tasks.

    Args:
        reader: its settings.
        receipt: of the raw files.

    Returns:
        One item per record, named by the text after `>`.

    Raises:
        UserError: a record has no `>`, or the last one is incomplete.
    """
    return gather(_raw_items(reader, receipt), reader, receipt, unit="letters")


def _raw_items(reader: ThreeLineReader, receipt: Receipt) -> Iterator[RawItem]:
    for split, file in files_by_split(reader, receipt):
        with open_text(receipt.root / file, reader.encoding) as stream:
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
                        f"{source}: the record of {name[1:]!r} is incomplete; expected name, sequence and label."
                    )
                yield RawItem(source, sequence, label or None, item=name[1:], split=split)
