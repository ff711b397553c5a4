"""Distributions, conditions, and what is refused."""

from __future__ import annotations

from collections import Counter
from math import log10
from typing import Any

import pytest

from lip.errors import InputError
from sweeps.search.space import Range, Space, unit

SPACE = {
    "lr": {"log": [1e-3, 1e-1]},
    "jitter": {"uniform": [0, 0.1]},
    "width": {"int": [32, 128], "step": 32},
    "pruner": {"choice": ["imp", "snip"]},
    "rewind": {"choice": [0, 5], "when": {"pruner": ["imp"]}},
}


def test_a_number_between_0_and_1_is_the_same_on_every_machine() -> None:
    assert unit(0, 1, "lr") == 0.02414537691608487


def test_what_is_drawn_lies_in_the_space_and_is_spread_over_it() -> None:
    drawn = [Space.parse(SPACE).draw(0, number) for number in range(400)]
    assert {setting["width"] for setting in drawn} == {32, 64, 96, 128}
    assert all(1e-3 <= setting["lr"] <= 1e-1 and 0 <= setting["jitter"] <= 0.1 for setting in drawn)
    assert abs(sum(log10(setting["lr"]) for setting in drawn) / 400 + 2) < 0.1, "evenly in the logarithm"
    assert min(Counter(setting["pruner"] for setting in drawn).values()) > 150


def test_a_key_is_left_out_where_its_condition_does_not_hold() -> None:
    drawn = [Space.parse(SPACE).draw(0, number) for number in range(50)]
    assert all(("rewind" in setting) == (setting["pruner"] == "imp") for setting in drawn)


def test_what_a_key_is_does_not_depend_on_the_other_keys() -> None:
    alone = Space.parse({"lr": SPACE["lr"]})
    assert [alone.draw(3, number)["lr"] for number in range(9)] == [
        Space.parse(SPACE).draw(3, number)["lr"] for number in range(9)
    ]


@pytest.mark.parametrize("key", ["lr", "jitter", "width", "pruner"])
def test_a_level_is_found_by_its_value(key: str) -> None:
    levels = Space.parse(SPACE).keys[key]
    for index in range(levels.size):
        assert levels.level(levels.index(levels.level(index))) == levels.level(index)


def test_levels_have_four_digits_and_both_ends() -> None:
    levels = Range(1e-3, 3e-2, True)
    assert (levels.level(0), levels.level(500), levels.level(1000)) == (0.001, 0.005477, 0.03)


def test_a_grid_has_all_combinations_and_a_key_without_its_condition_once() -> None:
    space = Space.parse(
        {"lr": {"log": [1e-3, 1e-1], "points": 3}, "pruner": SPACE["pruner"], "rewind": SPACE["rewind"]}
    )
    of_each = [{"pruner": "imp", "rewind": 0}, {"pruner": "imp", "rewind": 5}, {"pruner": "snip"}]
    assert space.grid() == [{"lr": lr, **rest} for lr in (0.001, 0.01, 0.1) for rest in of_each]


def test_the_ends_of_a_key_come_with_what_its_condition_needs() -> None:
    assert [setting for key, setting in Space.parse(SPACE).ends() if key in ("width", "rewind")] == [
        {"width": 32},
        {"width": 128},
        {"pruner": "imp", "rewind": 0},
        {"pruner": "imp", "rewind": 5},
    ]


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({}, "space is empty; give at least one key a distribution"),
        ({"lr": [1, 2]}, "space: lr: [1, 2] is no distribution; give one of log, uniform, int, choice"),
        ({"lr": {"log": [1, 2], "int": [1, 2]}}, "is no distribution"),
        ({"lr": {"log": [0, 1]}}, "space: lr: log: 0 has no logarithm; begin above 0, or use uniform"),
        ({"lr": {"log": [1e-1, 1e-3]}}, "space: lr: log: 0.1 is above 0.001; swap them"),
        ({"lr": {"uniform": [1, 1]}}, "uniform: there is nothing between 1 and 1; put the key into fixed instead"),
        ({"lr": {"uniform": [1]}}, "uniform: [1] are no two ends; write them as [low, high]"),
        ({"lr": {"uniform": [0, float("inf")]}}, "are no two ends"),
        ({"lr": {"log": [1, 2], "step": 1}}, "there is no 'step' with log; known: log, points, when"),
        ({"lr": {"log": [1, 2], "points": 1}}, "points: 1 are too few; give 2 or more"),
        ({"width": {"int": [32, 100], "step": 32}}, "int: steps of 32 from 32 never reach 100; end at 96 or 128"),
        ({"width": {"int": [0.5, 2]}}, "int: 0.5, 2 and step 1 must be integers; use uniform for others"),
        ({"pruner": {"choice": ["imp"]}}, "choice: ['imp'] leaves nothing to choose; give a list of two or more"),
        ({"pruner": {"choice": ["imp", "imp"]}}, "choice: duplicate value 'imp'; remove one"),
        (
            {"rewind": SPACE["rewind"]},
            "space: rewind: when: there is no 'pruner' above it in the space; it is the first",
        ),
        (
            {"pruner": SPACE["pruner"], "rewind": {"choice": [0, 5], "when": {"pruner": ["oes"]}}},
            "when: pruner is never 'oes'; its values are imp, snip",
        ),
        (
            {"pruner": SPACE["pruner"], "rewind": {"choice": [0, 5], "when": {"pruner": "imp"}}},
            "needs a list of values",
        ),
        ({"rewind": {"choice": [0, 5], "when": "imp"}}, "when: 'imp' is no condition; write it as {pruner: [imp]}"),
    ],
)
def test_what_is_no_space_is_refused(space: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        Space.parse(space)
    assert sentence in str(error.value)


def test_a_grid_of_a_range_needs_points() -> None:
    with pytest.raises(InputError, match="space: lr: a grid needs points; add them, as in points: 5, or use choice"):
        Space.parse(SPACE).grid()
