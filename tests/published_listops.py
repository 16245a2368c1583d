"""The algorithm of the published ListOps generators, as plainly as they have it: what the fast one is compared with.

Nangia & Bowman (2018), and with limits on the length Tay et al. (2021, Long Range Arena): a node is an operator with
probability 0.25 (never at the greatest depth), an operator takes 2 to `max_args` arguments.
"""

import random
from collections.abc import Iterator

OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")


def expressions(
    seed: int, max_depth: int, max_args: int, min_length: int, max_length: int
) -> Iterator[tuple[str, str]]:
    """Distinct expressions of the right length and their values, without end."""
    rng = random.Random(seed)
    seen = set()
    while True:
        symbols: list[str] = []
        value = _draw(rng, 1, max_depth, max_args, symbols)
        text = " ".join(symbols)
        if min_length <= len(symbols) <= max_length and text not in seen:
            seen.add(text)
            yield text, str(value)


def _draw(rng: random.Random, depth: int, max_depth: int, max_args: int, symbols: list[str]) -> int:
    if depth == max_depth or rng.random() > 0.25:
        symbols.append(str(rng.choice(range(10))))
        return int(symbols[-1])
    symbols.append(operator := rng.choice(OPERATORS))
    values = [_draw(rng, depth + 1, max_depth, max_args, symbols) for _ in range(rng.randint(2, max_args))]
    symbols.append("]")
    return {"[MIN": min, "[MAX": max, "[SM": lambda found: sum(found) % 10, "[MED": _median}[operator](values)


def _median(values: list[int]) -> int:
    ranked = sorted(values)
    return (ranked[len(ranked) // 2] + ranked[-1 - len(ranked) // 2]) // 2
