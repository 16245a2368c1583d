"""Split items at random, or as the data define it."""

from dataclasses import replace

import numpy as np
import pandas as pd

from crossover.config.tasks import Split
from crossover.errors import UserError
from crossover.specs.descriptions import SPLITS
from crossover.tasks.items import Items

# The column of the units that stay in one split.
UNIT = {"item": "item", "group": "group", "similarity": "cluster", "given": "group"}


def assign_splits(table: pd.DataFrame, split: Split) -> np.ndarray:
    """Assign every item to train, validation or test.

    Whole units are drawn: items, groups, or clusters of similar sequences. If stratified, each class is split
    separately, so that all splits have the same class proportions; a unit of several classes counts for its most
    frequent one. Fractions are of items, and are met to within half a unit; if that would leave a split without a unit of
    a class, it gets one. The order of the rows does not matter.

    Args:
        table: columns `item`, `group`, `target`, and `cluster` or `split` if they are needed.
        split: how items are split.

    Returns:
        The name of the split of each row.

    Raises:
        UserError: a class has fewer units than there are splits, or the data define no test or training items.
    """
    if split.by != "given":
        return _draw(table, split, {"validation": split.validation, "test": split.test})
    given: np.ndarray = table["split"].to_numpy(dtype=object, copy=True)
    for name in ("train", "test"):
        if name not in given:
            raise UserError(
                f"the data have no items in the split {name}; give a file for it, or choose another split.by."
            )
    if "validation" not in given:
        training = given == "train"
        given[training] = _draw(table[training], split, {"validation": split.validation})
    return given


def drop_rare_classes(items: Items, split: Split) -> Items:
    """Drop classes that cannot be both learned and scored, and count them.

    With `given` a class must occur in training, else in as many units as there are splits. Targets other than classes are
    left alone.

    Raises:
        UserError: no class is left.
    """
    table = items.table
    if not isinstance(table["target"].iloc[0], str):
        return items
    if split.by == "given":
        enough = table.loc[table["split"] == "train", "target"].unique()
    else:
        units = table.groupby("target")[UNIT[split.by]].nunique()
        enough = units.index[units >= len(SPLITS)]
    kept = table["target"].isin(enough)
    if kept.all():
        return items
    if not kept.any():
        raise UserError("every class is too rare to be both learned and scored; change target, split or policy.")
    counts = {
        "classes dropped as too rare": int(table.loc[~kept, "target"].nunique()),
        "items dropped with a rare class": int((~kept).sum()),
    }
    return replace(items, table=table[kept].reset_index(drop=True), counts=items.counts | counts)


def _draw(table: pd.DataFrame, split: Split, fractions: dict[str, float]) -> np.ndarray:
    """Draw the splits that have a fraction; the rest is training."""
    names = ["train", *fractions]
    unit = UNIT[split.by]
    rng = np.random.Generator(np.random.PCG64(split.seed))
    assigned: dict[str, str] = {}
    for label, units in _units(table, unit, split.stratified).groupby("label", sort=True):
        if len(units) < len(names):
            noun = "item" if table[unit].equals(table["item"]) else unit
            raise UserError(
                f"{label} only {len(units)} {noun}{'s' if len(units) > 1 else ''}; it needs at least {len(names)}, one per "
                "split: add some, remove the class, or set policy.rare_class to drop."
            )
        drawn = units.iloc[rng.permutation(len(units))]
        index = _split_indices(drawn["size"].to_numpy(), list(fractions.values()))
        assigned |= zip(drawn[unit], np.array(names)[index], strict=True)
    splits: np.ndarray = table[unit].map(assigned).to_numpy()
    return splits


def _split_indices(sizes: np.ndarray, fractions: list[float]) -> np.ndarray:
    """Return the index of the split of each unit: 0 is training, the others have these fractions of the items.

    Args:
        sizes: int64 [units], their numbers of items, in the order of drawing.
        fractions: of the items, for each split but training.
    """
    targets = [max(1, round(sizes.sum() * fraction)) for fraction in fractions]
    ends = np.cumsum([max(1, sizes.sum() - sum(targets)), *targets])[:-1]
    index = np.searchsorted(ends, np.cumsum(sizes) - sizes / 2, side="right")  # of the split that its middle falls into
    # The first unit is in training, the last one in the last split, and from unit to unit no split is skipped.
    order = np.arange(len(sizes))
    index[-1] = len(fractions)
    index = np.maximum.accumulate((index - order)[::-1])[::-1] + order
    return np.minimum(index, order)


def _units(table: pd.DataFrame, unit: str, stratified: bool) -> pd.DataFrame:
    """Return one row per unit, sorted by name: its name, its number of items, and the class that it is drawn with."""
    by_class = stratified and isinstance(table["target"].iloc[0], str)
    label = "class " + table["target"].map(repr) + " has" if by_class else pd.Series("the task has", table.index)
    sizes = table.groupby([table[unit], label.rename("label")]).size().rename("of_label").reset_index()
    sizes["size"] = sizes.groupby(unit)["of_label"].transform("sum")
    return sizes.sort_values([unit, "of_label", "label"], ascending=[True, False, True]).drop_duplicates(unit)
