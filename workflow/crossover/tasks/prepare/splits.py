"""Splits: drawn, or given by the data."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from crossover.errors import UserError
from crossover.tasks.items import SPLITS, Items

# What is never divided: the column that names it.
UNIT = {"item": "item", "group": "group", "similarity": "cluster", "given": "group"}


def assign_splits(table: pd.DataFrame, split: dict[str, Any]) -> np.ndarray:
    """Give every item to train, validation or test.

    Whole units are drawn: items, groups, or clusters of similar sequences. If stratified, each class is divided by
    itself, so that every split holds every class in the same shares; a unit of several classes counts for its most
    frequent one. Shares count items, and are met to within half a unit; where that would leave a split without a
    unit of a class, it is given one. The order of the rows does not matter.

    Args:
        table: columns `item`, `group`, `target`, and `cluster` or `split` as they are needed.
        split: `by` ("item", "group", "similarity" or "given"), `validation` and `test` (shares), `stratified`, `seed`.

    Returns:
        The name of the split of each row.

    Raises:
        UserError: a class has fewer units than there are splits, or the data gives no test or training split.
    """
    if split["by"] != "given":
        return _drawn(table, split, {name: split[name] for name in SPLITS[1:]})
    given = table["split"].to_numpy(dtype=object, copy=True)
    for name in ("train", "test"):
        if name not in given:
            raise UserError(
                f"the data gives no item to the split {name}; name a file for it, or choose another split.by."
            )
    if "validation" not in given:
        training = given == "train"
        given[training] = _drawn(table[training], split, {"validation": split["validation"]})
    return given


def drop_rare_classes(items: Items, split: dict[str, Any]) -> Items:
    """Leave out the classes that cannot be both learned and scored, and count them.

    With `given` a class must occur in training, else in as many units as there are splits. Targets that are no classes
    are left alone.

    Raises:
        UserError: no class is left.
    """
    table = items.table
    if not isinstance(table["target"].iloc[0], str):
        return items
    if split["by"] == "given":
        enough = table.loc[table["split"] == "train", "target"].unique()
    else:
        units = table.groupby("target")[UNIT[split["by"]]].nunique()
        enough = units.index[units >= len(SPLITS)]
    kept = table["target"].isin(enough)
    if kept.all():
        return items
    if not kept.any():
        raise UserError(
            "every class is too rare to be both learned and scored; choose another target, split or policy."
        )
    counts = {
        "classes dropped that are too rare": int(table.loc[~kept, "target"].nunique()),
        "items dropped whose class is too rare": int((~kept).sum()),
    }
    return replace(items, table=table[kept].reset_index(drop=True), counts=items.counts | counts)


def _drawn(table: pd.DataFrame, split: dict[str, Any], shares: dict[str, float]) -> np.ndarray:
    """Draw the splits that have a share; the rest is training."""
    names = ["train", *shares]
    unit = UNIT[split["by"]]
    rng = np.random.Generator(np.random.PCG64(split["seed"]))
    assigned: dict[str, str] = {}
    for label, units in _units(table, unit, split["stratified"]).groupby("label", sort=True):
        if len(units) < len(names):
            noun = "item" if table[unit].equals(table["item"]) else unit
            raise UserError(
                f"{label} only {len(units)} {noun}{'s' if len(units) > 1 else ''}; it needs at least {len(names)}, one for each split: add some, leave "
                "the class out, or set policy.rare_class to drop."
            )
        drawn = units.iloc[rng.permutation(len(units))]
        place = _places(drawn["size"].to_numpy(), list(shares.values()))
        assigned |= zip(drawn[unit], np.array(names)[place], strict=True)
    return table[unit].map(assigned).to_numpy()


def _places(sizes: np.ndarray, shares: list[float]) -> np.ndarray:
    """The number of the split of each unit: 0 is training, the others have these shares of the items.

    Args:
        sizes: int64 [units], their items, in the order of drawing.
        shares: of the items, for each split but training.
    """
    wanted = [max(1, round(sizes.sum() * share)) for share in shares]
    ends = np.cumsum([max(1, sizes.sum() - sum(wanted)), *wanted])[:-1]
    place = np.searchsorted(ends, np.cumsum(sizes) - sizes / 2, side="right")  # where the middle of a unit lies
    # The first unit trains, the last one is in the last split, and from unit to unit no split is passed over.
    order = np.arange(len(sizes))
    place[-1] = len(shares)
    place = np.maximum.accumulate((place - order)[::-1])[::-1] + order
    return np.minimum(place, order)


def _units(table: pd.DataFrame, unit: str, stratified: bool) -> pd.DataFrame:
    """One row per unit in the order of names: its name, its number of items, and the class it is drawn with."""
    by_class = stratified and isinstance(table["target"].iloc[0], str)
    label = "class " + table["target"].map(repr) + " has" if by_class else pd.Series("the task has", table.index)
    sizes = table.groupby([table[unit], label.rename("label")]).size().rename("of_label").reset_index()
    sizes["size"] = sizes.groupby(unit)["of_label"].transform("sum")
    return sizes.sort_values([unit, "of_label", "label"], ascending=[True, False, True]).drop_duplicates(unit)
