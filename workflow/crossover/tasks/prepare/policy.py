"""Handle invalid items as a task's policy says."""

import math
from collections import Counter
from dataclasses import replace
from typing import Literal

import pandas as pd

from crossover.alphabets import ALPHABETS, AlphabetName
from crossover.config.tasks import Policy
from crossover.errors import UserError
from crossover.tasks.items import Items, lengths_of

UNITS: dict[AlphabetName, str] = {"dna": "nucleotides", "protein": "residues"}
GAPS = "-."
STOP = "*"
NOT_A_LETTER = r"[^A-Z*]"  # neither a nucleotide nor a residue, whatever it is


def apply_policy(items: Items, policy: Policy, letters: AlphabetName | None, target: str) -> Items:
    """Correct, drop or refuse invalid items, and count what was done.

    Args:
        items: from the reader; targets from files are text, or None if they are missing.
        policy: how invalid items are handled.
        letters: the alphabet of DNA or proteins; None for other sequences.
        target: kind of the target; for "number", text is converted to float.

    Returns:
        The remaining items, with a new index; `counts` says what was done, in words, and how often.

    Raises:
        UserError: an item is refused, or none is left.
    """
    counts: Counter[str] = Counter(items.counts)
    table = _drop_missing(items.table, policy.missing_label, counts)
    if letters:
        items = replace(items, unit=UNITS[letters])
        table = table.assign(sequence=_corrected(table, letters, policy.gaps, counts))
        table = _drop_unknown(table, letters, policy.unknown, counts)
    table = _drop_empty(table, policy.empty, counts)
    table = _drop_by_length(table, items.unit, policy, counts)
    if table.empty:
        raise UserError(
            f"the task's policy drops all items ({_listed(counts)}); relax the policy, or correct the files."
        )
    if target == "number" and isinstance(table["target"].iloc[0], str):
        table = table.assign(
            target=[_number(value, where) for value, where in zip(table["target"], _where(table), strict=True)]
        )
    return replace(
        items, table=table.reset_index(drop=True), counts={what: count for what, count in counts.items() if count}
    )


def _where(table: pd.DataFrame) -> pd.Series:
    return table["source"] if "source" in table else table["item"]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{what}: {count}" for what, count in counts.items())


def _drop(
    table: pd.DataFrame, invalid: pd.Series, treatment: str, what: str, remedy: str, counts: Counter[str]
) -> pd.DataFrame:
    """Drop invalid rows, or raise for the first of them."""
    if not invalid.any():
        return table
    if treatment == "error":
        raise UserError(f"{_where(table)[invalid].iloc[0]}: the item has {what}; {remedy}.")
    counts[f"items dropped with {what}"] += int(invalid.sum())
    return table[~invalid]


def _drop_missing(table: pd.DataFrame, treatment: str, counts: Counter[str]) -> pd.DataFrame:
    remedy = "add it, or set policy.missing_label to drop"
    return _drop(table, table["target"].isna(), treatment, "no label", remedy, counts)


def _drop_empty(table: pd.DataFrame, treatment: str, counts: Counter[str]) -> pd.DataFrame:
    empty = table["sequence"].map(len) == 0
    if "second" in table:
        empty |= table["second"].map(len) == 0
    return _drop(table, empty, treatment, "an empty sequence", "complete it, or set policy.empty to drop", counts)


def _drop_by_length(table: pd.DataFrame, unit: str, policy: Policy, counts: Counter[str]) -> pd.DataFrame:
    lengths = lengths_of(table["sequence"], unit)
    for limit, outside, than in (
        (policy.shortest, lengths.lt, "fewer than"),
        (policy.longest, lengths.gt, "more than"),
    ):
        if limit:
            table = _drop(table, outside(limit).loc[table.index], "drop", f"{than} {limit} {unit}", "", counts)
    return table


# --- letters ----------------------------------------------------------------------------------------------


def _corrected(
    table: pd.DataFrame, letters: AlphabetName, gaps: Literal["error", "remove"], counts: Counter[str]
) -> pd.Series:
    """Return sequences in upper case, RNA as DNA, without a stop symbol at the end and without gaps."""
    sequences = table["sequence"]
    upper = sequences.str.upper()
    counts["items with lower-case letters, converted to upper case"] += int((upper != sequences).sum())
    if letters == "dna":
        counts["items with U (RNA), converted to T"] += int(upper.str.contains("U", regex=False).sum())
        upper = upper.str.replace("U", "T", regex=False)
    if letters == "protein":
        stopped = upper.str.endswith(STOP)
        counts["stop symbols (*) removed at the end"] += int(stopped.sum())
        upper = upper.str.removesuffix(STOP)
    has_gaps = upper.str.contains(f"[{GAPS}]", regex=True)
    if has_gaps.any() and gaps == "error":
        raise UserError(
            f"{_where(table)[has_gaps].iloc[0]}: the item has gaps (- or .); use unaligned sequences, or set "
            "policy.gaps to remove."
        )
    counts["items with gaps (- or .), which were removed"] += int(has_gaps.sum())
    return upper.str.replace(f"[{GAPS}]", "", regex=True)


def _drop_unknown(table: pd.DataFrame, letters: AlphabetName, treatment: str, counts: Counter[str]) -> pd.DataFrame:
    """Handle letters that are not in the alphabet; N (DNA) and X (proteins) stand for any letter."""
    known = ALPHABETS[letters]
    unknown = f"[^{known}]"
    found = table["sequence"].str.count(unknown)
    if not found.any():
        return table
    if treatment == "map":
        if (strange := table["sequence"].str.extract(f"({NOT_A_LETTER})", expand=False).dropna()).size:
            raise UserError(
                f"{_where(table)[strange.index[0]]}: the item has {strange.iloc[0]!a}, which is not a letter; correct it, or set "
                "policy.unknown to drop."
            )
        counts[f"letters other than {known}, mapped to {known[-1]}"] += int(found.sum())
        return table.assign(sequence=table["sequence"].str.replace(unknown, known[-1], regex=True))
    return _drop(
        table,
        found > 0,
        treatment,
        f"letters other than {known}",
        "correct it, or set policy.unknown to map or drop",
        counts,
    )


def _number(value: str, where: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(
            f"{where}: the target is {value[:40]!r}, but target.kind is number; correct it, or set target.kind to class."
        )
    return number
