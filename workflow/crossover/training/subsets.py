"""Parts of a training split: how well is a task learned from fewer items?"""

import numpy as np

from crossover.encodings.tokens import Tokens
from crossover.errors import UserError
from crossover.specs.runs import TrainSubset


def draw_subset(tokens: Tokens, subset: TrainSubset, seed: int) -> Tokens:
    """Return some items of a training split, in their order in the split.

    The items with one seed are nested: those of a smaller subset are among those of any larger one.

    Args:
        tokens: the whole split.
        subset: how many items, and how they are drawn.
        seed: of the draw.

    Raises:
        UserError: the split has fewer items, or strata are asked of a task without labels.
    """
    if subset.items > len(tokens):
        raise UserError(
            f"the training split has {len(tokens):,} items, but train_items asks for {subset.items:,}; remove that size from "
            "the study, or the task."
        )
    generator = np.random.Generator(np.random.PCG64(seed))
    order = (
        _shuffled_strata(tokens.targets, generator)
        if subset.drawn == "stratified"
        else generator.permutation(len(tokens))
    )
    return tokens.items(np.sort(order[: subset.items]))


def _shuffled_strata(targets: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return all items in an order of which every beginning has the labels in nearly the proportions of the whole.

    The k-th of the n items of a label, in random order, stands at (k + u) / n of the way, with one random u in [0, 1) for
    each label: a beginning with a share p of all items has p * n items of each label, rounded up or down.

    Args:
        targets: int64 [items].
        generator: of the draws.

    Raises:
        UserError: the targets are no labels.
    """
    if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer):
        raise UserError(
            "train_items_drawn: stratified needs a task with labels, but this one predicts numbers or bits; draw plain."
        )
    places = np.empty(len(targets))
    for label in np.unique(targets):
        own = generator.permutation(np.flatnonzero(targets == label))
        places[own] = (np.arange(len(own)) + generator.random()) / len(own)
    return np.argsort(places, kind="stable")
