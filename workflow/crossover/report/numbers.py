"""Numbers as people read them. Scores are shares of 1 and are shown in percent, differences in percentage points."""

import math

MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
EN_DASH = "\N{EN DASH}"


def percent(share: float | None) -> str:
    """Return a share in percent: 0.7083 -> `70.8 %`; an exact share of 1 is `100 %`, one that only rounds to it is `>99.9 %`."""
    if share is None or math.isnan(share):
        return EN_DASH
    if share in (0, 1):
        return f"{100 * share:.0f}{SPACE}%"
    if share > 0.9995:
        return f">99.9{SPACE}%"
    return f"{100 * share:.1f}{SPACE}%"


def percent_interval(low: float, high: float) -> str:
    """Return an interval of shares in percent: (0.661, 0.755) -> `66.1 to 75.5 %`."""
    return f"{100 * low:.1f} to {100 * high:.1f}{SPACE}%"


def signed(points: float) -> str:
    """Return one decimal with a sign: `+17.6`, `−3.2`, `0.0`."""
    text = f"{points:+.1f}".replace("-", MINUS)
    return "0.0" if text.endswith("0.0") and abs(points) < 0.05 else text


def points(difference: float) -> str:
    """Return a difference in percentage points: 0.176 -> `+17.6 points`."""
    return f"{signed(100 * difference)}{SPACE}points"


def points_interval(low: float, high: float) -> str:
    """Return an interval of differences in percentage points: (-0.01, 0.2) -> `−1.0 to +20.0`."""
    return f"{signed(100 * low)} to {signed(100 * high)}"


def size(difference: float) -> str:
    """Return the size of a difference in percentage points: 0.05 -> `5 points`, 0.176 -> `17.6 points`."""
    return f"{round(100 * difference, 1):g}{SPACE}points"


def p_value(p: float | None) -> str:
    """Return a p-value: `0.012`, or `<0.001`."""
    if p is None or math.isnan(p):
        return EN_DASH
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def count(number: float | None) -> str:
    """Return a whole number: 12345 -> `12,345`."""
    return EN_DASH if number is None or math.isnan(number) else f"{number:,.0f}"


def rate(learning_rate: float) -> str:
    """Return a learning rate: 0.0003 -> `3e-4`."""
    mantissa, exponent = f"{learning_rate:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}".replace("-", MINUS)


def duration(seconds: float) -> str:
    """Return a length of time: `42 s`, `12 min`, `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f}{SPACE}s"
    if seconds < 5400:
        return f"{seconds / 60:.0f}{SPACE}min"
    return f"{seconds / 3600:,.1f}{SPACE}h"


def plural(number: int, noun: str, several: str = "") -> str:
    """Return a number with its noun: `1 task`, `2 tasks`."""
    return f"{number:,}{SPACE}{noun if number == 1 else several or noun + 's'}"
