"""MAESTRO: piano performances with their composers (Hawthorne et al. 2019)."""

from typing import Any

import pandas as pd

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items
from crossover.tasks.readers.labels import read_table
from crossover.tasks.readers.pieces import cut_pieces, rows_of, unit_of

COMPOSER, SPLIT, FILE = "canonical_composer", "split", "midi_filename"


def read(settings: dict[str, Any], receipt: Receipt) -> Items:
    """The composer of segments of performances, in the splits of the data; versions 1 to 3 name their columns alike.

    Args:
        settings: those of `cut_pieces`, and `minimum_pieces` (performances of a composer, in all splits).
        receipt: the unpacked zip: maestro-v*.csv, and the MIDI files that it names.

    Returns:
        One item per segment, grouped by performance, with the column `split`. Performances of a composer who has fewer than
        `minimum_pieces` of them are skipped.

    Raises:
        UserError: the table is not there or names files that are not.
    """
    tables = [file for file in receipt.files if file.endswith(".csv")]
    if len(tables) != 1:
        raise UserError(
            f"{receipt.root} has {len(tables)} csv files; MAESTRO comes with one: unpack its MIDI zip there."
        )
    rows = read_table(receipt, tables[0], FILE, [COMPOSER, SPLIT])
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[COMPOSER, SPLIT])
    counts = table[COMPOSER].map(table[COMPOSER].value_counts())
    rare = counts < settings["minimum_pieces"]
    pieces, skipped = cut_pieces(receipt, table.index[~rare], settings)
    left_out = [
        {"input": file, "reason": f"{row[COMPOSER]} has fewer than {settings['minimum_pieces']} performances"}
        for file, row in table[rare].iterrows()
    ]
    items = pd.DataFrame(rows_of(pieces, table[COMPOSER].to_dict()), columns=["item", "group", "sequence", "target"])
    items["split"] = items["group"].map(table[SPLIT].to_dict())
    return Items(items, unit=unit_of(settings), skipped=left_out + skipped)
