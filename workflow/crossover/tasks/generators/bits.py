"""The two bit tasks of Lu et al. (2021), section 3.1."""

import numpy as np

from crossover.config.readers import BitMemoryReader, BitXorReader
from crossover.errors import UserError
from crossover.specs.descriptions import Floor, Receipt
from crossover.tasks.items import Items, generated_table


def read(reader: BitMemoryReader | BitXorReader, receipt: Receipt | None) -> Items:
    """Generate the items of one of the two tasks; see `bit_memory` and `bit_xor`."""
    rng = np.random.Generator(np.random.PCG64(reader.seed))
    return bit_memory(reader, rng) if isinstance(reader, BitMemoryReader) else bit_xor(reader, rng)


def bit_memory(reader: BitMemoryReader, rng: np.random.Generator) -> Items:
    """Generate items of bit memory: recall a half-masked string that was shown before, among others.

    Each of `strings` strings has `bits` bits of -1 or +1. One of them is shown again at the end, each of its bits
    replaced by 0 with probability 0.5; the target is the complete string. In the paper there are 5 strings of 1,000
    bits in patches of 50, drawn anew for each batch; here a fixed set is drawn once.

    Returns:
        `sequence` float32 [(strings + 1) * bits] in {-1, 0, +1}; `target` int8 [bits] in {0, 1}.
    """
    count = reader.sizes.total
    shown = rng.integers(0, 2, (count, reader.strings, reader.bits), dtype=np.int8) * 2 - 1
    recalled = shown[np.arange(count), rng.integers(reader.strings, size=count)]
    visible = rng.random(recalled.shape) >= 0.5
    sequence = np.concatenate([shown.reshape(count, -1), recalled * visible], axis=1).astype(np.float32)
    target = (recalled > 0).astype(np.int8)
    share = float(visible[-reader.sizes.test :].mean())
    rule = "share of visible bits in the test split plus half of the hidden ones: copy what is seen, guess the rest"
    table = generated_table(reader.sizes, list(sequence), list(target))
    return Items(table, unit="bits", floor=Floor(score=share + (1 - share) / 2, rule=rule))


def bit_xor(reader: BitXorReader, rng: np.random.Generator) -> Items:
    """Generate items of bit XOR: the elementwise XOR of two strings of `bits` bits, one after the other.

    In the paper there are 5 bits, drawn anew for each batch. That leaves only 1,024 inputs, so that training would have
    seen every test item; here no input occurs twice, within a split or in two of them.

    Returns:
        `sequence` float32 [2 * bits] in {0, 1}; `target` int8 [bits], read out at the positions of the second string.

    Raises:
        UserError: the sizes exceed the number of different inputs.
    """
    bits, sizes = reader.bits, reader.sizes
    count = sizes.total
    if count > 4**bits:
        raise UserError(
            f"reader bit-xor has {4**bits} inputs of 2 x {bits} bits, but sizes add up to {count}; reduce them."
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
