from __future__ import annotations

from dataclasses import replace
from math import inf, isnan, nan

import pandas as pd
import pytest

from analysis.stats import (
    EQUAL,
    FAILS,
    HARM,
    HOLDS,
    MATCHING,
    NEGATIVE,
    NO_GAIN,
    POSITIVE,
    UNKNOWN,
    Claim,
    Region,
    adjusted,
    interval,
    judge,
    p_value,
)


def claim(region: Region) -> Claim:
    return Claim(id="id", statement="statement", paper="paper", statistic="statistic", region=region)


def verdict(rows: list[list[float]], region: Region = MATCHING):
    return judge(claim(region), "last", pd.DataFrame(rows))


def test_interval_is_students():
    # t(0.975, 2) = 4.3027, standard deviation 1, n = 3
    mean, low, high = interval(pd.Series([1.0, 2.0, 3.0]))
    assert mean == 2
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))


def test_images_are_averaged_within_a_seed_so_that_n_is_seeds():
    result = verdict([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]])
    assert result.n == 3
    assert result.effect == 2
    assert (result.low, result.high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))


def test_the_mean_decides_and_the_interval_is_said():
    sure = verdict([[0.01], [0.0], [-0.01]])
    assert (sure.verdict, sure.note) == (HOLDS, "")
    unsure = verdict([[0.5], [0.0], [-0.5]])
    assert (unsure.verdict, unsure.note) == (HOLDS, "interval crosses the threshold")
    assert verdict([[-0.2], [-0.21], [-0.19]]).verdict == FAILS


def test_fewer_than_three_seeds_are_not_enough():
    one = verdict([[5.0]])
    assert (one.verdict, one.n, one.effect, one.note) == (UNKNOWN, 1, 5, "1 seed, 3 are needed")
    assert isnan(one.low)
    assert one.measured == "+5.00 dB, n = 1"
    two = verdict([[5.0], [7.0]])
    assert (two.verdict, two.n, two.effect) == (UNKNOWN, 2, 6)


def test_no_data_is_not_a_failure():
    for empty in (pd.DataFrame(), pd.DataFrame([[nan]] * 3)):
        result = judge(claim(MATCHING), "last", empty)
        assert (result.verdict, result.n, result.measured) == (UNKNOWN, 0, "no data")


def test_a_seed_with_a_gap_is_left_out_and_counted():
    result = verdict([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [9.0, nan]])
    assert (result.n, result.effect) == (3, 0.5)
    assert result.note == "1 incomplete seed left out"


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
    assert not region.is_crossed_by(-inf, -inf)


def test_a_region_and_a_threshold_in_words():
    words = [str(region) for region in (MATCHING, POSITIVE, NEGATIVE, NO_GAIN, EQUAL)]
    assert words == ["≥ -0.1", "> 0", "< 0", "≤ 0.1", "-0.1 to 0.1"]
    assert claim(MATCHING).threshold == "≥ -0.1 dB"


def test_the_test_is_one_sided_against_the_limit():
    values = pd.Series([1.0, 2.0, 3.0])
    # t = 2 / (1 / sqrt 3) = 3.4641 with 2 degrees of freedom
    assert p_value(values, POSITIVE) == pytest.approx(0.0370900, rel=1e-4)
    assert p_value(values, NEGATIVE) == pytest.approx(1 - 0.0370900, rel=1e-4)
    # both limits must be passed: the nearer one counts
    assert p_value(values, Region(0, 2.5)) == pytest.approx(p_value(values, Region(high=2.5)))
    assert (p_value(pd.Series([1.0, 1.0]), POSITIVE), p_value(pd.Series([1.0, 1.0]), NEGATIVE)) == (0, 1)
    assert isnan(p_value(values[:1], POSITIVE))


def test_effect_size_is_mean_over_standard_deviation_of_the_seeds():
    result = verdict([[1.0], [2.0], [3.0]])
    assert result.d == 2
    assert isnan(verdict([[1.0], [1.0], [1.0]]).d)


def test_false_discoveries_are_controlled_over_all_verdicts_together():
    p = [0.01, 0.02, 0.03, 0.9]
    several = [replace(verdict([[0.1], [0.2], [0.3]]), p=value) for value in p]
    untested = verdict([[1.0]])
    q = [each.q for each in adjusted([untested, *several])]
    assert isnan(q[0])
    assert q[1:] == pytest.approx([0.04, 0.04, 0.04, 0.9])  # Benjamini and Hochberg by hand
    assert [each.confirmed for each in adjusted(several)] == [True, True, True, False]
    assert not adjusted([replace(several[0], verdict=FAILS)])[0].confirmed
    assert adjusted([]) == []


def test_what_is_measured_and_tested_in_words():
    (one,) = adjusted([verdict([[1.0], [2.0], [3.0]], POSITIVE)])
    assert one.measured == "+2.00 dB [-0.48, +4.48], n = 3"
    assert one.tested == "d = 2.0, q = 0.037"
    assert verdict([[1.0]]).tested == ""
