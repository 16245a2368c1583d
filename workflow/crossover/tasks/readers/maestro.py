"""MAESTRO: piano performances with their composers (Hawthorne et al. 2019)."""

import pandas as pd

from crossover.config.media_readers import MaestroReader
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt, SkippedInput
from crossover.tasks.items import Items
from crossover.tasks.readers.labels import read_file_table
from crossover.tasks.readers.pieces import cut_pieces, rows_of, unit_of

COMPOSER, SPLIT, FILE = "canonical_composer", "split", "midi_filename"


def read(reader: MaestroReader, receipt: Receipt) -> Items:
    """Cut performances into segments labelled by composer, in MAESTRO's splits. Versions 1 to 3 have the same columns.

    Args:
        reader: its settings.
        receipt: of the unpacked zip: maestro-v*.csv, and the MIDI files that it names.

    Returns:
        One item per segment, grouped by performance, with the column `split`. Performances of a composer who has fewer than
        `minimum_pieces` of them, in all splits together, are skipped.

    Raises:
        UserError: the table is missing, or names missing files.
    """
    tables = [file for file in receipt.paths if file.endswith(".csv")]
    if len(tables) != 1:
        raise UserError(f"{receipt.root} has {len(tables)} csv files, but MAESTRO has one; unpack its MIDI zip there.")
    rows = read_file_table(receipt, tables[0], FILE, [COMPOSER, SPLIT])
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[COMPOSER, SPLIT])
    counts = table[COMPOSER].map(table[COMPOSER].value_counts())
    rare = counts < reader.minimum_pieces
    pieces, skipped = cut_pieces(receipt, table.index[~rare], reader)
    left_out = [
        SkippedInput(input=file, reason=f"{row[COMPOSER]} has fewer than {reader.minimum_pieces} performances")
        for file, row in table[rare].iterrows()
    ]
    items = pd.DataFrame(rows_of(pieces, table[COMPOSER].to_dict()), columns=["item", "group", "sequence", "target"])
    items["split"] = items["group"].map(table[SPLIT].to_dict())
    return Items(items, unit=unit_of(reader), skipped=left_out + skipped)
