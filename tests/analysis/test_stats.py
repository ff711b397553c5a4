"""Estimates and tests, against values by hand and by scipy."""

from __future__ import annotations

from math import inf, isnan, nan

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from analysis.claims import EQUAL, HARM, MATCHING, NEGATIVE, NO_GAIN, POSITIVE
from analysis.stats import (
    LEVEL,
    Region,
    false_discovery_rates,
    on_photographs,
    on_these_photographs,
    power,
    seeds_needed,
)


def test_seeds_are_the_repeats_on_these_photographs():
    """t(0.975, 2) = 4.3027; the photographs' own differences cancel."""
    estimate = on_these_photographs(pd.DataFrame([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]]))
    assert (estimate.mean, estimate.seeds, estimate.photographs, estimate.deviation) == (2, 3, 2, 1)
    assert estimate.interval == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    assert estimate.d == 2


def test_one_photograph_is_students_test():
    values = pd.DataFrame([0.5, 0.1, 0.3, 0.4])
    expected = ttest_1samp(values[0], 0)
    estimate = on_these_photographs(values)
    assert estimate.p_inside(POSITIVE) == pytest.approx(expected.pvalue / 2)
    assert estimate.interval == pytest.approx(tuple(expected.confidence_interval()))


def test_photographs_and_seeds_both_add_to_the_variance_on_photographs():
    """Means of photographs 1, 2, 3 and of seeds 1, 2, 3: variance 1/3 each, with 2 degrees of freedom each, so 4."""
    effects = pd.DataFrame(np.add.outer([-1.0, 0.0, 1.0], [1.0, 2.0, 3.0]))
    estimate = on_photographs(effects)
    assert (estimate.mean, estimate.df) == (2, pytest.approx(4))
    assert estimate.error == pytest.approx((2 / 3) ** 0.5)
    assert estimate.interval[0] == pytest.approx(2 - 2.776445 * (2 / 3) ** 0.5)


def test_photographs_that_differ_widen_only_the_interval_on_photographs():
    effects = pd.DataFrame(np.add.outer([-0.01, 0.0, 0.01], [-3.0, 0.0, 3.0]))
    assert on_these_photographs(effects).interval[1] < 0.1
    assert on_photographs(effects).interval[1] > 7


def test_too_few_values_have_no_interval():
    for estimate in (on_these_photographs(pd.DataFrame([[1.0, 2.0]])), on_photographs(pd.DataFrame([1.0, 2.0]))):
        assert isnan(estimate.error)
        assert all(map(isnan, estimate.interval))
        assert isnan(estimate.p_inside(POSITIVE))


def test_values_without_spread_are_not_tested():
    for estimate in (on_these_photographs(pd.DataFrame([1.0, 1.0])), on_photographs(pd.DataFrame([[1.0, 1.0]] * 2))):
        assert estimate.error == 0
        assert estimate.interval == (1, 1)
        assert isnan(estimate.p_inside(POSITIVE))
        assert isnan(estimate.p_outside(POSITIVE))
        assert isnan(estimate.d)


def test_the_tests_are_one_sided_against_the_limit():
    """t = 2 / (1 / sqrt 3) = 3.4641 with 2 degrees of freedom."""
    estimate = on_these_photographs(pd.DataFrame([1.0, 2.0, 3.0]))
    assert estimate.p_inside(POSITIVE) == pytest.approx(0.0370900, rel=1e-4)
    assert estimate.p_outside(POSITIVE) == pytest.approx(1 - 0.0370900, rel=1e-4)
    assert estimate.p_inside(NEGATIVE) == pytest.approx(1 - 0.0370900, rel=1e-4)


def test_two_limits_must_both_be_passed_and_one_is_enough_against():
    estimate = on_these_photographs(pd.DataFrame([1.0, 2.0, 3.0]))
    both = Region(0, 2.5)
    assert estimate.p_inside(both) == pytest.approx(estimate.p_inside(Region(high=2.5)))
    assert estimate.p_outside(Region(-1, 0)) == pytest.approx(2 * estimate.p_outside(Region(high=0)))


@pytest.mark.parametrize(
    ("region", "inside", "outside"),
    [
        (MATCHING, (-0.1, 0.0, 5.0), (-0.11,)),
        (POSITIVE, (1e-9, 3.0), (0.0, -1.0)),
        (EQUAL, (-0.1, 0.1), (-0.11, 0.11)),
        (NO_GAIN, (0.1, -9.0), (0.11,)),
        (HARM, (-0.11, -9.0), (-0.1, 0.0)),
    ],
)
def test_regions(region: Region, inside: tuple[float, ...], outside: tuple[float, ...]):
    assert all(effect in region for effect in inside)
    assert not any(effect in region for effect in outside)
    assert nan not in region
    assert inf not in region.limits


def test_a_region_in_words():
    assert [str(region) for region in (MATCHING, POSITIVE, NEGATIVE, EQUAL)] == ["≥ -0.1", "> 0", "< 0", "-0.1 to 0.1"]


def test_power_of_a_margin_of_one_standard_deviation():
    assert [round(power(0.1, 0.1, n), 2) for n in (3, 5, 10)] == [0.32, 0.58, 0.9]


def test_power_without_an_effect_is_the_level():
    assert power(0, 1, 5) == pytest.approx(LEVEL)


def test_seeds_needed_are_the_fewest_with_enough_power():
    n = seeds_needed(0.1, 0.1)
    assert n == 8
    assert power(0.1, 0.1, n) >= 0.8 > power(0.1, 0.1, n - 1)
    assert seeds_needed(10, 0.1) == 3
    assert seeds_needed(0.001, 1) is None
    assert seeds_needed(0, 1) is None


def test_false_discoveries_are_controlled_over_what_was_tested():
    rates = false_discovery_rates([nan, 0.01, 0.02, 0.03, 0.9])
    assert isnan(rates[0])
    assert rates[1:] == pytest.approx([0.04, 0.04, 0.04, 0.9]), "Benjamini and Hochberg by hand"
    assert false_discovery_rates([]).tolist() == []
