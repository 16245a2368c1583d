"""How often the statistics are wrong, on few simulated studies; `benchmarks/error_rates.py` measures it on many.

The bounds leave room for chance: of 150 studies with an error rate of 5 %, 10 % are wrong once in 200 times.
"""

import pytest

from simulated_studies import Setting, measure_error_rates

STUDIES = 150


@pytest.mark.parametrize(
    "setting",
    [
        Setting(3, 100, 0.02),
        Setting(3, 100, 0.08),
        Setting(3, 100, (0.005, 0.08, 0.005, 0.08)),
        Setting(5, 100, tuple((0.01 * points,) for points in (0, 0.5, 1, 1.5, 2, 4, 6))),
        Setting(3, 100, 0.01, mean=0.9, failing=1 / 3),
    ],
    ids=["calm", "wild", "calm against wild", "by task", "one seed in three fails"],
)
def test_without_a_difference_few_studies_claim_one(setting):
    rates = measure_error_rates(setting, STUDIES, seed=1)
    assert rates.false_family <= 0.10
    assert rates.differences >= 0.94
    assert rates.cells >= 0.93


def test_large_differences_are_found():
    rates = measure_error_rates(Setting(3, 300, 0.02, mean=0.6, difference=0.1), STUDIES, seed=2)
    assert rates.shown >= 0.45
    assert measure_error_rates(Setting(3, 300, 0.02, mean=0.6, difference=0.2), 20, seed=3).shown >= 0.99


def test_equal_conditions_are_found_to_be_so_and_those_that_differ_by_the_margin_are_not():
    assert measure_error_rates(Setting(3, 2000, 0.005, mean=0.6), 20, seed=4).equivalent >= 0.95
    at_margin = measure_error_rates(Setting(3, 2000, 0.02, mean=0.6, difference=0.05), 50, seed=5)
    assert at_margin.equivalent <= 0.05
