"""How often the statistics of a study are wrong, and what they find.

python benchmarks/error_rates.py [--studies N] [--only WORDS] [--jobs N]     1,000 studies per setting take half an hour of CPU time

Studies with a known truth (tests/simulated_studies.py) go through the functions that make the tables. Each setting is a line of a
Markdown table. False: studies with at least one false `higher` or `lower`, among comparisons of bodies or among all. The standard
error of a rate r of 1,000 studies is sqrt(r (1 - r) / 1,000): 0.7 points at 5 %. The last column says what was asked for and missed.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from zlib import crc32

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from simulated_studies import ErrorRates, Setting, measure_error_rates  # noqa: E402

CALM_AND_WILD = (0.005, 0.08, 0.005, 0.08)
BY_TASK = tuple((0.01 * points,) for points in (0, 0.5, 1, 1.5, 2, 4, 6))
ONE_ARM = (0.0, 1 / 3, 0.0, 1 / 3)
FAILING = {"items": 300, "deviation": 0.01, "mean": 0.9, "failing": 1 / 3}


def all_settings() -> dict[str, Setting]:
    """Return the settings by their names."""
    found = {
        f"no difference, {seeds} seeds, {items} items, SD {deviation:g}": Setting(seeds, items, deviation / 100)
        for seeds in (3, 5, 10)
        for items in (100, 300, 2000)
        for deviation in (0.5, 2, 8)
    }
    for seeds in (3, 5, 10):
        found |= {
            f"no difference, {seeds} seeds, SD 0.5 against 8": Setting(seeds, 300, CALM_AND_WILD),
            f"no difference, {seeds} seeds, SD by task 0 to 6": Setting(seeds, 400, BY_TASK),
            f"no difference, {seeds} seeds, ceiling 99 %": Setting(seeds, 300, 0.003, mean=0.99),
            f"no difference, {seeds} seeds, one in three fails": Setting(seeds, **FAILING),
            f"no difference, {seeds} seeds, one in three fails in one arm": Setting(
                seeds, **FAILING | {"mean": (0.9 - 0.4 / 3, 0.9) * 2, "failing": ONE_ARM}
            ),
            f"+13.3, {seeds} seeds, one in three fails in one arm": Setting(seeds, **FAILING | {"failing": ONE_ARM}),
            f"+5 = margin, {seeds} seeds, 2000 items, SD 0.5": Setting(seeds, 2000, 0.005, mean=0.6, difference=0.05),
            f"+5 = margin, {seeds} seeds, 2000 items, SD 2": Setting(seeds, 2000, 0.02, mean=0.6, difference=0.05),
        }
        found |= {
            f"+{points}, {seeds} seeds, 300 items, SD 2": Setting(seeds, 300, 0.02, mean=0.6, difference=points / 100)
            for points in (2, 5, 10, 20)
        }
    return found | {
        "no difference, 3 seeds, SD 2 against 8": Setting(3, 300, (0.02, 0.08, 0.02, 0.08)),
        "no difference, 3 seeds, SD 4, seeds alike in both arms": Setting(3, 300, 0.04, correlation=0.5),
        "no difference, 3 seeds, all right": Setting(3, 300, 0.0, mean=1.0),
        "no difference, 3 seeds, floor 2 %": Setting(3, 300, 0.005, mean=0.02),
        "+10, 3 seeds, 300 items, SD 4": Setting(3, 300, 0.04, mean=0.6, difference=0.10),
    }


def missed(name: str, setting: Setting, rates: ErrorRates) -> list[str]:
    """Return the criteria that a setting misses."""
    fails, is_null = setting.failing != 0.0, name.startswith("no difference")
    criteria = {
        "false": not is_null or rates.false_family <= (0.10 if fails else 0.064),
        "differences": rates.differences >= 0.94,
        "cells": fails or rates.cells >= 0.94,
        "equivalent": "margin" not in name or rates.equivalent <= 0.064,
        "shown": rates.shown
        >= {"+10, 3 seeds, 300 items, SD 2": 0.45, "+20, 3 seeds, 300 items, SD 2": 0.99}.get(name, 0),
    }
    return [criterion for criterion, is_met in criteria.items() if not is_met]


def measure(setting: tuple[str, Setting], studies: int) -> tuple[str, Setting, ErrorRates]:
    """Simulate a setting; its draws depend on its name alone."""
    return *setting, measure_error_rates(setting[1], studies, crc32(setting[0].encode()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--only", default="", help="words that the names of settings contain")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    chosen = [(name, setting) for name, setting in all_settings().items() if options.only in name]
    print("| setting | cells | differences | false, bodies | false, all | shown | equivalent | half-width | missed |")
    print("|---|---|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(options.jobs) as pool:
        for name, setting, rates in pool.map(partial(measure, studies=options.studies), chosen):
            percent = [rates.cells, rates.differences, rates.false_family, rates.false_study, rates.shown, rates.equivalent, rates.half_width]  # fmt: skip
            values = [f"{100 * value:.1f}" for value in percent]
            print(f"| {' | '.join([name, *values, ', '.join(missed(name, setting, rates))])} |", flush=True)


if __name__ == "__main__":
    main()
