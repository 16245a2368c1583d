"""What is done with items that are not as they should be."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pandas as pd

from crossover.alphabets import ALPHABETS
from crossover.errors import UserError
from crossover.tasks.items import Items, lengths_of

UNITS = {"dna": "nucleotides", "protein": "residues"}
GAPS = "-."
STOP = "*"
NO_LETTER = r"[^A-Z*]"  # whatever stands there, it is neither a nucleotide nor a residue


def apply_policy(items: Items, policy: dict[str, Any], letters: str | None, target: str) -> Items:
    """Put items right, drop or refuse them, and count what was done.

    Args:
        items: from the reader, targets of files being text, or None where missing.
        policy: `empty`, `missing_label`, `gaps`, `unknown`, `shortest`, `longest`.
        letters: "dna" or "protein" for sequences of such letters, else None.
        target: kind of the target; text becomes float for "number".

    Returns:
        The items that are left, numbered anew; `counts` says what was done, in words, and how often.

    Raises:
        UserError: an item must not be as it is, or none is left.
    """
    counts: Counter[str] = Counter(items.counts)
    table = _drop_missing(items.table, policy["missing_label"], counts)
    if letters:
        items = replace(items, unit=UNITS[letters])
        table = table.assign(sequence=_corrected(table, letters, policy, counts))
        table = _drop_unknown(table, letters, policy["unknown"], counts)
    table = _drop_empty(table, policy["empty"], counts)
    table = _drop_by_length(table, items.unit, policy, counts)
    if table.empty:
        raise UserError(
            f"no items are left after the task's policy ({_listed(counts)}); relax it, or correct the files."
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
    table: pd.DataFrame, bad: pd.Series, treatment: str, what: str, remedy: str, counts: Counter[str]
) -> pd.DataFrame:
    """Drop the rows that are bad, or refuse the first of them."""
    if not bad.any():
        return table
    if treatment == "error":
        raise UserError(f"{_where(table)[bad].iloc[0]}: the item has {what}; {remedy}.")
    counts[f"items dropped that have {what}"] += int(bad.sum())
    return table[~bad]


def _drop_missing(table: pd.DataFrame, treatment: str, counts: Counter[str]) -> pd.DataFrame:
    remedy = "add it, or set policy.missing_label to drop"
    return _drop(table, table["target"].isna(), treatment, "no label", remedy, counts)


def _drop_empty(table: pd.DataFrame, treatment: str, counts: Counter[str]) -> pd.DataFrame:
    empty = table["sequence"].map(len) == 0
    if "second" in table:
        empty |= table["second"].map(len) == 0
    return _drop(table, empty, treatment, "an empty sequence", "complete it, or set policy.empty to drop", counts)


def _drop_by_length(table: pd.DataFrame, unit: str, policy: dict[str, Any], counts: Counter[str]) -> pd.DataFrame:
    lengths = lengths_of(table["sequence"], unit)
    for limit, outside, than in (
        (policy["shortest"], lengths.lt, "fewer than"),
        (policy["longest"], lengths.gt, "more than"),
    ):
        if limit:
            table = _drop(table, outside(limit).loc[table.index], "drop", f"{than} {limit} {unit}", "", counts)
    return table


# --- letters ----------------------------------------------------------------------------------------------


def _corrected(table: pd.DataFrame, letters: str, policy: dict[str, Any], counts: Counter[str]) -> pd.Series:
    """Sequences in upper case, RNA as DNA, without a stop sign at the end, without gaps."""
    sequences = table["sequence"]
    upper = sequences.str.upper()
    counts["items with lower-case letters, read as upper case"] += int((upper != sequences).sum())
    if letters == "dna":
        counts["items with U (RNA), read as T"] += int(upper.str.contains("U", regex=False).sum())
        upper = upper.str.replace("U", "T", regex=False)
    if letters == "protein":
        stopped = upper.str.endswith(STOP)
        counts["stop signs at the end left out"] += int(stopped.sum())
        upper = upper.str.removesuffix(STOP)
    gaps = upper.str.contains(f"[{GAPS}]", regex=True)
    if gaps.any() and policy["gaps"] == "error":
        raise UserError(
            f"{_where(table)[gaps].iloc[0]}: the item has gaps (- or .); give sequences that are not aligned, or set "
            "policy.gaps to remove."
        )
    counts["items with gaps (- or .), which were removed"] += int(gaps.sum())
    return upper.str.replace(f"[{GAPS}]", "", regex=True)


def _drop_unknown(table: pd.DataFrame, letters: str, treatment: str, counts: Counter[str]) -> pd.DataFrame:
    """Treat letters that the domain does not know; N (DNA) and X (proteins) stand for any letter."""
    known = ALPHABETS[letters]
    foreign = f"[^{known}]"
    found = table["sequence"].str.count(foreign)
    if not found.any():
        return table
    if treatment == "map":
        if (strange := table["sequence"].str.extract(f"({NO_LETTER})", expand=False).dropna()).size:
            raise UserError(
                f"{_where(table)[strange.index[0]]}: the item has {strange.iloc[0]!a}, which is no letter; correct it, or set "
                "policy.unknown to drop."
            )
        counts[f"letters other than {known}, read as {known[-1]}"] += int(found.sum())
        return table.assign(sequence=table["sequence"].str.replace(foreign, known[-1], regex=True))
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
