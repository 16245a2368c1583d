"""ListOps: nested operations on lists of digits (Nangia & Bowman 2018)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.items import Items, generated_table

OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
OPERATOR_SHARE = 0.25  # of the nodes that may be operators, `VALUE_P` in the published scripts
PATIENCE = 1_000_000  # draws without a new expression, after which there are no more


def read(settings: dict[str, Any], receipt: Receipt | None) -> Items:
    """Generate distinct expressions, such as `[MAX 2 9 [MIN 4 7 ] 0 ]`, with their values.

    Equal to the script of the Long Range Arena (Tay et al. 2021, lra_benchmarks/data/listops.py), which follows
    Nangia & Bowman's: operators, digits, the probability of an operator (0.25, none at `max_depth`, the root
    being at depth 1), 2 to `max_args` arguments, median cut to an integer, sum modulo 10, no expression twice,
    rejection by length. Different: the brackets are kept and the binary parentheses left out, lengths are
    inclusive, and splits are in the order of drawing rather than that of a Python set.

    Args:
        settings: `max_depth`, `max_args`, `min_length` and `max_length` (in symbols), `sizes`, `seed`.
        receipt: none.

    Returns:
        One item per expression; `sequence` is its symbols, separated by spaces, `target` its value "0".."9".

    Raises:
        UserError: the settings allow too few expressions.
    """
    draws = _uniform_draws(settings["seed"])
    wanted = sum(settings["sizes"].values())
    values: dict[str, str] = {}
    futile = 0
    while len(values) < wanted and futile < PATIENCE:
        symbols: list[str] = []
        value = _draw_expression(draws, 1, settings, symbols)
        text = " ".join(symbols)
        if settings["min_length"] <= len(symbols) <= settings["max_length"] and text not in values:
            values[text] = str(value)
            futile = 0
        else:
            futile += 1
    if len(values) < wanted:
        raise UserError(
            f"reader listops found only {len(values)} expressions of {settings['min_length']} to {settings['max_length']} "
            f"symbols, but sizes ask for {wanted}; allow more depth, arguments or length, or ask for fewer."
        )
    return Items(generated_table(settings["sizes"], values.keys(), values.values()), unit="symbols")


def _uniform_draws(seed: int) -> Iterator[float]:
    rng = np.random.Generator(np.random.PCG64(seed))
    while True:
        yield from rng.random(65536).tolist()  # one call for many: a draw by itself takes 100 times as long


def _draw_expression(draws: Iterator[float], depth: int, settings: dict[str, Any], symbols: list[str]) -> int:
    """Append one expression to `symbols` and return its value.

    What is already too long will be rejected, so that it need not be drawn to its end.
    """
    if depth == settings["max_depth"] or next(draws) > OPERATOR_SHARE or len(symbols) > settings["max_length"]:
        value = int(next(draws) * 10)
        symbols.append(str(value))
        return value
    operator = OPERATORS[int(next(draws) * len(OPERATORS))]
    count = 2 + int(next(draws) * (settings["max_args"] - 1))
    symbols.append(operator)
    arguments = [_draw_expression(draws, depth + 1, settings, symbols) for _ in range(count)]
    symbols.append("]")
    return _apply(operator, arguments)


def _apply(operator: str, arguments: list[int]) -> int:
    match operator:
        case "[MIN":
            return min(arguments)
        case "[MAX":
            return max(arguments)
        case "[SM":
            return sum(arguments) % 10
    ranked = sorted(arguments)
    middle = len(ranked) // 2
    return ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) // 2
