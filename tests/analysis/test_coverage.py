"""How often 95 % intervals contain the true mean, by simulation of photographs, seeds and their interaction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analysis.stats import Estimate, on_photographs, on_these_photographs

CLAIMED = (0.93, 0.97)
DRAWS = 4000
CHANCE = 0.01
"""2.5 standard errors of a share from so many draws."""

SPREADS = {"photographs differ most": (0.3, 0.1, 0.1), "seeds differ most": (0.1, 0.3, 0.1)}
"""Standard deviations over photographs and seeds, and what is left, in dB."""


def draw(rng: np.random.Generator, spread: tuple[float, float, float], photographs: int, seeds: int) -> tuple:
    """Return effects around zero, and the photographs' own part of them."""
    of_photographs, of_seeds, rest = spread
    own = of_photographs * rng.normal(size=photographs)
    common = of_seeds * rng.normal(size=(seeds, 1))
    return pd.DataFrame(own + common + rest * rng.normal(size=(seeds, photographs))), own


def coverage(
    estimate: Callable[[pd.DataFrame], Estimate],
    spread: tuple[float, float, float],
    photographs: int,
    seeds: int,
    runs: int,
    fixed: bool,
) -> float:
    """Return the share of intervals with the true mean: of these photographs if `fixed`, else zero."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(runs):
        effects, own = draw(rng, spread, photographs, seeds)
        low, high = estimate(effects).interval
        hits += low <= (own.mean() if fixed else 0.0) <= high
    return hits / runs


def table(runs: int, photographs: tuple[int, ...], seeds: tuple[int, ...]) -> dict[tuple[str, str, int, int], float]:
    """Return the coverage by scope, spread, photographs and seeds, of all that is claimed."""
    return {
        (name, text, p, s): coverage(estimate, spread, p, s, runs, fixed)
        for text, spread in SPREADS.items()
        for p in photographs
        for s in seeds
        for name, estimate, fixed in (("these", on_these_photographs, True), ("all", on_photographs, False))
        if fixed or p >= 3
    }


def test_a_small_simulation_covers_as_claimed():
    covered = table(1500, (1, 3), (3,))
    assert {key: share for key, share in covered.items() if not CLAIMED[0] <= share <= CLAIMED[1]} == {}


@pytest.mark.slow
def test_intervals_cover_as_claimed():
    covered = table(DRAWS, (1, 3, 5, 11), (3, 5, 10))
    print(pd.Series(covered).unstack().to_string())
    low, high = CLAIMED
    assert {key: share for key, share in covered.items() if not low - CHANCE <= share <= high + CHANCE} == {}


def test_seeds_of_fixed_photographs_say_nothing_about_photographs():
    """The fault that the second scope mends: the first one's interval covers the mean of all photographs rarely."""
    assert coverage(on_these_photographs, (0.3, 0.1, 0.1), 3, 3, 500, fixed=False) < 0.8


def test_the_interval_is_conservative_where_neither_photographs_nor_seeds_matter():
    assert coverage(on_photographs, (0.0, 0.0, 0.1), 3, 3, 500, fixed=False) > 0.97
