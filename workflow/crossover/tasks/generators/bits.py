"""The two bit tasks of Lu et al. (2021), section 3.1."""

from typing import Any

import numpy as np

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Floor, Items, generated_table


def read(settings: dict[str, Any], receipt: Receipt | None) -> Items:
    """Generate one of the two tasks, named by `kind`; see `bit_memory` and `bit_xor`."""
    rng = np.random.Generator(np.random.PCG64(settings["seed"]))
    make = {"bit-memory": bit_memory, "bit-xor": bit_xor}[settings["kind"]]
    return make(settings, rng)


def bit_memory(settings: dict[str, Any], rng: np.random.Generator) -> Items:
    """Recall a string of which half is hidden, among several strings shown before.

    Each of `strings` strings has `bits` bits of -1 or +1. One of them is shown again at the end, each of its
    bits replaced by 0 with probability 0.5; the target is that whole string. Published: 5 strings of 1,000
    bits in patches of 50, drawn afresh for each batch; here a fixed set is drawn once.

    Returns:
        `sequence` float32 [(strings + 1) * bits] in {-1, 0, +1}; `target` int8 [bits] in {0, 1}.
    """
    sizes = settings["sizes"]
    count = sum(sizes.values())
    shown = rng.integers(0, 2, (count, settings["strings"], settings["bits"]), dtype=np.int8) * 2 - 1
    recalled = shown[np.arange(count), rng.integers(settings["strings"], size=count)]
    visible = rng.random(recalled.shape) >= 0.5
    sequence = np.concatenate([shown.reshape(count, -1), recalled * visible], axis=1).astype(np.float32)
    target = (recalled > 0).astype(np.int8)
    share = float(visible[-sizes["test"] :].mean())
    rule = "share of visible bits in the test split plus half of the hidden ones: copy what is seen, guess the rest"
    table = generated_table(sizes, list(sequence), list(target))
    return Items(table, unit="bits", floor=Floor(share + (1 - share) / 2, rule))


def bit_xor(settings: dict[str, Any], rng: np.random.Generator) -> Items:
    """The elementwise XOR of two strings of `bits` bits, of which the second follows the first.

    Published: 5 bits, drawn afresh for each batch. Then there are only 1,024 inputs, so that a test drawn like
    that has all been seen in training; here no input occurs twice, within a split or between them.

    Returns:
        `sequence` float32 [2 * bits] in {0, 1}; `target` int8 [bits], read out where the second string stands.

    Raises:
        UserError: the sizes ask for more inputs than there are.
    """
    bits, sizes = settings["bits"], settings["sizes"]
    count = sum(sizes.values())
    if count > 4**bits:
        raise UserError(
            f"reader bit-xor has {4**bits} inputs of 2 x {bits} bits, but sizes ask for {count}; ask for fewer."
        )
    inputs = np.empty((0, 2 * bits), dtype=np.int8)
    while len(inputs) < count:
        inputs = np.concatenate([inputs, rng.integers(0, 2, (count, 2 * bits), dtype=np.int8)])
        _, first = np.unique(inputs, axis=0, return_index=True)
        inputs = inputs[np.sort(first)]
    inputs = inputs[:count]
    target = inputs[:, :bits] ^ inputs[:, bits:]
    table = generated_table(sizes, list(inputs.astype(np.float32)), list(target))
    return Items(table, unit="bits", notes=["no input occurs twice: the splits are disjoint by construction"])
