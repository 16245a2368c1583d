"""ListOps: nested operations on lists of digits (Nangia & Bowman 2018)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items, generated_table

OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
OPERATOR_SHARE = 0.25  # of the nodes that may be operators, `VALUE_P` in the published scripts
BATCH = 4096  # expressions drawn at once
PATIENCE = 1_000_000  # draws without a new expression, after which there are no more
SYMBOLS = np.array([*"0123456789", *OPERATORS, "]"], dtype=object)
CLOSING = len(SYMBOLS) - 1


def read(settings: dict[str, Any], receipt: Receipt | None) -> Items:
    """Generate distinct expressions, such as `[MAX 2 9 [MIN 4 7 ] 0 ]`, with their values.

    Equal in distribution to the script of the Long Range Arena (Tay et al. 2021, lra_benchmarks/data/listops.py),
    which follows Nangia & Bowman's: operators, digits, the probability of an operator (0.25, none at `max_depth`,
    the root being at depth 1), 2 to `max_args` arguments, median cut to an integer, sum modulo 10, no expression
    twice, rejection by length. Different: the brackets are kept and the binary parentheses left out, lengths are
    inclusive, and splits are in the order of drawing rather than that of a Python set.

    Args:
        settings: `max_depth`, `max_args`, `min_length` and `max_length` (in symbols), `sizes`, `seed`.
        receipt: none.

    Returns:
        One item per expression; `sequence` is its symbols, separated by spaces, `target` its value "0".."9".

    Raises:
        UserError: the settings allow too few expressions.
    """
    rng = np.random.Generator(np.random.PCG64(settings["seed"]))
    wanted = sum(settings["sizes"].values())
    values: dict[str, str] = {}
    futile = 0
    while len(values) < wanted and futile < PATIENCE:
        before = len(values)
        for text, value in _draw_batch(rng, settings):
            values.setdefault(text, value)
            if len(values) == wanted:
                break
        futile = 0 if len(values) > before else futile + BATCH
    if len(values) < wanted:
        raise UserError(
            f"reader listops found only {len(values)} expressions of {settings['min_length']} to {settings['max_length']} "
            f"symbols, but sizes ask for {wanted}; allow more depth, arguments or length, or ask for fewer."
        )
    return Items(generated_table(settings["sizes"], values.keys(), values.values()), unit="symbols")


@dataclass(frozen=True)
class _Level:
    """All nodes of one depth, of all expressions of a batch; the children of a node are neighbours in the next level.

    Attributes:
        expression: int64 [nodes], the number of the expression in the batch.
        arguments: int64 [nodes], 0 for a digit.
    """

    expression: np.ndarray
    arguments: np.ndarray

    def of(self, kept: np.ndarray) -> "_Level":
        """The nodes of the expressions that are kept, bool [expressions], numbered anew."""
        number = np.cumsum(kept) - 1
        mine = kept[self.expression]
        return _Level(number[self.expression[mine]], self.arguments[mine])


def _draw_batch(rng: np.random.Generator, settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Expressions of the right length, and their values, in the order of drawing.

    The shapes of all expressions are drawn first, level by level; digits and operators only for what is kept.
    """
    levels, sizes = _draw_shapes(rng, settings)
    kept = (sizes >= settings["min_length"]) & (sizes <= settings["max_length"])
    levels = [level.of(kept) for level in levels]
    lengths = _lengths(levels)
    symbols = [_draw_symbols(rng, level) for level in levels]
    values = _values(levels, symbols)
    words = SYMBOLS[_laid_out(levels, symbols, lengths)]
    ends = np.cumsum(lengths[0])
    texts = [" ".join(words[start:end]) for start, end in zip(ends - lengths[0], ends, strict=True)]
    return list(zip(texts, map(str, values.tolist()), strict=True))


def _draw_shapes(rng: np.random.Generator, settings: dict[str, Any]) -> tuple[list[_Level], np.ndarray]:
    """Levels from the root down, and the length of each expression; what is too long already is not drawn further."""
    levels = []
    sizes = np.zeros(BATCH, dtype=np.int64)
    expression = np.arange(BATCH)
    for depth in range(1, settings["max_depth"] + 1):
        nested = (rng.random(len(expression)) < OPERATOR_SHARE) & (depth < settings["max_depth"])
        sizes += np.bincount(expression[nested], minlength=BATCH) + np.bincount(expression, minlength=BATCH)
        nested &= sizes[expression] <= settings["max_length"]
        arguments = np.where(nested, rng.integers(2, settings["max_args"] + 1, len(expression)), 0)
        levels.append(_Level(expression, arguments))
        expression = np.repeat(expression, arguments)
    return levels, sizes


def _draw_symbols(rng: np.random.Generator, level: _Level) -> np.ndarray:
    """What stands at each node: a digit, or 10 and the number of an operator; int64 [nodes]."""
    operators = 10 + rng.integers(len(OPERATORS), size=len(level.arguments))
    return np.where(level.arguments, operators, rng.integers(10, size=len(level.arguments)))


def _lengths(levels: list[_Level]) -> list[np.ndarray]:
    """Symbols of the part that each node begins, from the leaves up: its own, and those of its arguments."""
    found: list[np.ndarray] = []
    for level in reversed(levels):
        length = np.where(level.arguments, 2, 1)
        starts, parents = _runs(level)
        if len(parents):
            length[parents] += np.add.reduceat(found[-1], starts)
        found.append(length)
    return found[::-1]


def _runs(level: _Level) -> tuple[np.ndarray, np.ndarray]:
    """Where the arguments of each operator begin in the next level, and which nodes are operators."""
    parents = np.flatnonzero(level.arguments)
    counts = level.arguments[parents]
    return np.cumsum(counts) - counts, parents


def _values(levels: list[_Level], symbols: list[np.ndarray]) -> np.ndarray:
    """The value of each expression, from the leaves up."""
    inner = np.empty(0, dtype=np.int64)
    for level, symbol in zip(reversed(levels), reversed(symbols), strict=True):
        value = symbol.copy()
        starts, parents = _runs(level)
        if len(parents):
            value[parents] = _applied(symbol[parents] - 10, inner, starts, level.arguments[parents])
        inner = value
    return inner


def _applied(operators: np.ndarray, arguments: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The value of each operator: `arguments` holds those of all, `starts` and `counts` say whose are whose."""
    ranked = np.sort(np.repeat(np.arange(len(starts)), counts) * 10 + arguments) % 10  # within each operator
    median = (ranked[starts + (counts - 1) // 2] + ranked[starts + counts // 2]) // 2
    smallest, largest = ranked[starts], ranked[starts + counts - 1]
    return np.choose(operators, [smallest, largest, median, np.add.reduceat(arguments, starts) % 10])


def _laid_out(levels: list[_Level], symbols: list[np.ndarray], lengths: list[np.ndarray]) -> np.ndarray:
    """All expressions one after the other, each node where it is read: the numbers of `SYMBOLS`, int64."""
    flat = np.empty(int(lengths[0].sum()), dtype=np.int64)
    place = np.cumsum(lengths[0]) - lengths[0]
    for depth, (level, symbol) in enumerate(zip(levels, symbols, strict=True)):
        flat[place] = symbol
        starts, parents = _runs(level)
        if not len(parents):
            break
        flat[place[parents] + lengths[depth][parents] - 1] = CLOSING
        # An argument stands after its operator and after the arguments before it.
        before = np.cumsum(lengths[depth + 1]) - lengths[depth + 1]
        place = before + np.repeat(place[parents] + 1 - before[starts], level.arguments[parents])
    return flat


def apply_operator(operator: str, arguments: list[int]) -> int:
    """The value of one operator, such as `[MAX`; the median of an even number of arguments is cut to an integer."""
    match operator:
        case "[MIN":
            return min(arguments)
        case "[MAX":
            return max(arguments)
        case "[SM":
            return sum(arguments) % 10
    ranked = sorted(arguments)
    return (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) // 2
