"""ListOps: nested operations on lists of digits (Nangia & Bowman 2018)."""

from dataclasses import dataclass

import numpy as np

from crossover.config.readers import ListopsReader
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt
from crossover.tasks.items import Items, generated_table

OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
OPERATOR_SHARE = 0.25  # of the nodes that may be operators, `VALUE_P` in the published scripts
BATCH = 4096  # expressions drawn at once
MAX_FUTILE_DRAWS = 1_000_000  # without a new expression; then there are no more
SYMBOLS = np.array([*"0123456789", *OPERATORS, "]"], dtype=object)
CLOSING = len(SYMBOLS) - 1


def read(reader: ListopsReader, receipt: Receipt | None) -> Items:
    """Generate distinct expressions, such as `[MAX 2 9 [MIN 4 7 ] 0 ]`, with their values.

    The distribution is that of the script of the Long Range Arena (Tay et al. 2021, lra_benchmarks/data/listops.py),
    which follows Nangia & Bowman's: operators, digits, the probability of an operator (0.25, but 0 at `max_depth`; the
    root is at depth 1), 2 to `max_args` arguments, median truncated to an integer, sum modulo 10, no duplicates,
    rejection by length. The differences: brackets are kept and binary parentheses left out, lengths are inclusive, and
    splits follow the order of drawing instead of that of a Python set.

    Args:
        reader: its settings.
        receipt: None; there are no raw files.

    Returns:
        One item per expression; `sequence` is its symbols, separated by spaces, `target` its value, "0" to "9".

    Raises:
        UserError: the settings allow too few expressions.
    """
    rng = np.random.Generator(np.random.PCG64(reader.seed))
    total = reader.sizes.total
    values: dict[str, str] = {}
    futile = 0
    while len(values) < total and futile < MAX_FUTILE_DRAWS:
        before = len(values)
        for text, value in _draw_batch(rng, reader):
            values.setdefault(text, value)
            if len(values) == total:
                break
        futile = 0 if len(values) > before else futile + BATCH
    if len(values) < total:
        raise UserError(
            f"reader listops found only {len(values)} expressions of {reader.min_length} to {reader.max_length} symbols, "
            f"but sizes add up to {total}; raise max_depth, max_args or max_length, or reduce sizes."
        )
    return Items(generated_table(reader.sizes, values.keys(), values.values()), unit="symbols")


@dataclass(frozen=True)
class _Level:
    """All nodes of one depth, of all expressions of a batch. The children of a node are adjacent in the next level.

    Attributes:
        expression: int64 [nodes], the index of the expression in the batch.
        arguments: int64 [nodes], the number of arguments; 0 for a digit.
    """

    expression: np.ndarray
    arguments: np.ndarray

    def select(self, kept: np.ndarray) -> "_Level":
        """Return the nodes of some expressions, bool [expressions], which are renumbered."""
        index = np.cumsum(kept) - 1
        selected = kept[self.expression]
        return _Level(index[self.expression[selected]], self.arguments[selected])


def _draw_batch(rng: np.random.Generator, reader: ListopsReader) -> list[tuple[str, str]]:
    """Draw a batch; return the expressions of an allowed length, and their values, in the order of drawing.

    The shapes of all expressions are drawn first, level by level; digits and operators only for those that are kept.
    """
    levels, sizes = _draw_shapes(rng, reader)
    kept = (sizes >= reader.min_length) & (sizes <= reader.max_length)
    levels = [level.select(kept) for level in levels]
    lengths = _subtree_sizes(levels)
    symbols = [_draw_symbols(rng, level) for level in levels]
    values = _values(levels, symbols)
    words = SYMBOLS[_in_reading_order(levels, symbols, lengths)]
    ends = np.cumsum(lengths[0])
    texts = [" ".join(words[start:end]) for start, end in zip(ends - lengths[0], ends, strict=True)]
    return list(zip(texts, map(str, values.tolist()), strict=True))


def _draw_shapes(rng: np.random.Generator, reader: ListopsReader) -> tuple[list[_Level], np.ndarray]:
    """Draw the levels from the root down; return them and the length of each expression.

    Expressions that are too long already are not drawn further.
    """
    levels = []
    sizes = np.zeros(BATCH, dtype=np.int64)
    expression = np.arange(BATCH)
    for depth in range(1, reader.max_depth + 1):
        nested = (rng.random(len(expression)) < OPERATOR_SHARE) & (depth < reader.max_depth)
        sizes += np.bincount(expression[nested], minlength=BATCH) + np.bincount(expression, minlength=BATCH)
        nested &= sizes[expression] <= reader.max_length
        arguments = np.where(nested, rng.integers(2, reader.max_args + 1, len(expression)), 0)
        levels.append(_Level(expression, arguments))
        expression = np.repeat(expression, arguments)
    return levels, sizes


def _draw_symbols(rng: np.random.Generator, level: _Level) -> np.ndarray:
    """Draw the symbol of each node: a digit, or 10 plus the index of an operator; int64 [nodes]."""
    operators = 10 + rng.integers(len(OPERATORS), size=len(level.arguments))
    return np.where(level.arguments, operators, rng.integers(10, size=len(level.arguments)))


def _subtree_sizes(levels: list[_Level]) -> list[np.ndarray]:
    """Return for each level the number of symbols of each node's subtree, computed from the leaves up."""
    found: list[np.ndarray] = []
    for level in reversed(levels):
        length = np.where(level.arguments, 2, 1)
        starts, parents = _argument_starts(level)
        if len(parents):
            length[parents] += np.add.reduceat(found[-1], starts)
        found.append(length)
    return found[::-1]


def _argument_starts(level: _Level) -> tuple[np.ndarray, np.ndarray]:
    """Return where the arguments of each operator begin in the next level, and which nodes are operators."""
    parents = np.flatnonzero(level.arguments)
    counts = level.arguments[parents]
    return np.cumsum(counts) - counts, parents


def _values(levels: list[_Level], symbols: list[np.ndarray]) -> np.ndarray:
    """Return the value of each expression, computed from the leaves up."""
    inner = np.empty(0, dtype=np.int64)
    for level, symbol in zip(reversed(levels), reversed(symbols), strict=True):
        value = symbol.copy()
        starts, parents = _argument_starts(level)
        if len(parents):
            value[parents] = _operator_values(symbol[parents] - 10, inner, starts, level.arguments[parents])
        inner = value
    return inner


def _operator_values(
    operators: np.ndarray, arguments: np.ndarray, starts: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Return the value of each operator.

    Args:
        operators: int64 [operators], their indices in OPERATORS.
        arguments: int64 [arguments of all].
        starts: int64 [operators], where the arguments of each begin.
        counts: int64 [operators], how many each has.
    """
    ranked = np.sort(np.repeat(np.arange(len(starts)), counts) * 10 + arguments) % 10  # within each operator
    median = (ranked[starts + (counts - 1) // 2] + ranked[starts + counts // 2]) // 2
    smallest, largest = ranked[starts], ranked[starts + counts - 1]
    return np.choose(operators, [smallest, largest, median, np.add.reduceat(arguments, starts) % 10])


def _in_reading_order(levels: list[_Level], symbols: list[np.ndarray], lengths: list[np.ndarray]) -> np.ndarray:
    """Return all expressions one after the other, in reading order, as indices of `SYMBOLS`, int64 [symbols of all]."""
    flat = np.empty(int(lengths[0].sum()), dtype=np.int64)
    place = np.cumsum(lengths[0]) - lengths[0]
    for depth, (level, symbol) in enumerate(zip(levels, symbols, strict=True)):
        flat[place] = symbol
        starts, parents = _argument_starts(level)
        if not len(parents):
            break
        flat[place[parents] + lengths[depth][parents] - 1] = CLOSING
        # An argument comes after its operator and after the arguments before it.
        before = np.cumsum(lengths[depth + 1]) - lengths[depth + 1]
        place = before + np.repeat(place[parents] + 1 - before[starts], level.arguments[parents])
    return flat


def apply_operator(operator: str, arguments: list[int]) -> int:
    """Return the value of an operator such as `[MAX`; the median of an even number of arguments is truncated."""
    match operator:
        case "[MIN":
            return min(arguments)
        case "[MAX":
            return max(arguments)
        case "[SM":
            return sum(arguments) % 10
    ranked = sorted(arguments)
    return (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) // 2
