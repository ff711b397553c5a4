from __future__ import annotations

from math import inf, isnan, nan

import pandas as pd
import pytest

from analysis.stats import EQUAL, FAILS, HARM, HOLDS, MATCHING, NO_GAIN, POSITIVE, UNKNOWN, Region, interval, judge


def verdict(rows: list[list[float]], region: Region = MATCHING):
    return judge("claim", "paper", "last", pd.DataFrame(rows), region)


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
        result = judge("claim", "paper", "last", empty, MATCHING)
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
