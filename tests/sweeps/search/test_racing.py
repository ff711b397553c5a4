"""When a setting is compared, and when it is clearly worse."""

from __future__ import annotations

from math import inf, isnan, nan

import pytest

from sweeps.search.racing import Racing, interval, upper


@pytest.mark.parametrize(
    ("racing", "blocks", "stages"),
    [
        (Racing(), 20, [3, 6, 12, 20]),
        (Racing(), 12, [3, 6, 12]),
        (Racing(first=2, growth=1.2), 6, [2, 3, 4, 5, 6]),
        (Racing(), 2, [2]),
    ],
)
def test_sets_of_blocks_grow_until_they_are_all(racing: Racing, blocks: int, stages: list[int]) -> None:
    assert racing.stages(blocks) == stages


@pytest.mark.parametrize(
    ("differences", "worse"),
    [
        ([-1.0, -1.1, -0.9], True),
        ([-1.0, 1.0, -0.9], False),
        ([0.2, 0.3, 0.1], False),
        ([-0.5, -0.5, -0.5], True),
        ([0.0, 0.0, 0.0], False),
        ([0.1, -inf, 0.1], True),
        ([0.1, inf, 0.1], False),
        ([nan, nan, nan], False),
    ],
)
def test_a_setting_is_dropped_only_when_it_is_clearly_worse(differences: list[float], worse: bool) -> None:
    assert Racing().is_worse(differences) is worse


def test_intervals_are_those_of_student() -> None:
    low, high = interval([1.0, 2.0, 3.0])
    assert (low, high) == (pytest.approx(2 - 4.302653 / 3**0.5), pytest.approx(2 + 4.302653 / 3**0.5))
    assert upper([1.0, 2.0, 3.0], 0.025) == pytest.approx(high)
    assert all(map(isnan, interval([1.0])))
