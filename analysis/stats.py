"""Estimates of mean effects, tests of where they lie, and how many seeds a test needs.

Everything is paired: a difference is between two fits of one image, seed, round and reported output, which share
theta_0, the code and the noise. A table of effects has a row per seed and a column per photograph. The scopes are:

- on these photographs: photographs are fixed, and a seed is one draw of everything else, so means over photographs are
  clustered by seed. The interval is Student's, over seeds.
- on photographs: both are samples, drawn independently of one another (crossed random effects). The variance of the
  mean is at most that of the photographs' means plus that of the seeds' means, with Satterthwaite's degrees of freedom.
  It counts the residual variance twice, so it is conservative where neither photographs nor seeds matter. Measured
  coverage: tests/analysis/test_coverage.py.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan, sqrt

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, nct, t

LEVEL = 0.05
"""Error rate of each one-sided test."""

MIN_SEEDS = 3
MIN_PHOTOGRAPHS = 3

POWER = 0.8
MAX_SEEDS = 1000


@dataclass(frozen=True)
class Region:
    """The values of a mean effect for which a claim holds; it includes its limits unless it is `open`."""

    low: float = -inf
    high: float = inf
    open: bool = False

    def __contains__(self, effect: float) -> bool:
        return self.low < effect < self.high if self.open else self.low <= effect <= self.high

    def __str__(self) -> str:
        """Print it as in `> 0`, `≥ -0.1` or `-0.1 to 0.1`."""
        if isfinite(self.low) and isfinite(self.high):
            return f"{self.low:g} to {self.high:g}"
        if isfinite(self.low):
            return f"{'>' if self.open else '≥'} {self.low:g}"
        return f"{'<' if self.open else '≤'} {self.high:g}"

    @property
    def limits(self) -> list[float]:
        """Return the finite limits."""
        return [limit for limit in (self.low, self.high) if isfinite(limit)]


@dataclass(frozen=True)
class Estimate:
    """A mean effect with its standard error; both nan where there are too few values."""

    mean: float
    error: float
    df: float
    """Degrees of freedom of the error."""
    seeds: int
    photographs: int
    deviation: float
    """Standard deviation over seeds."""

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval."""
        if not isfinite(self.error):
            return nan, nan
        half = float(t.ppf(0.975, self.df)) * self.error if self.error else 0.0
        return self.mean - half, self.mean + half

    @property
    def d(self) -> float:
        """Return Cohen's d of the paired differences: their mean over their standard deviation over seeds."""
        return self.mean / self.deviation if self.deviation > 0 else nan

    def p_inside(self, region: Region) -> float:
        """Return p of the test that the effect lies in a region: small if that is certain."""
        if not self.error > 0:
            return nan
        return max(self._p(region.low, 1), self._p(region.high, -1))

    def p_outside(self, region: Region) -> float:
        """Return p of the test that the effect lies outside a region, corrected for its two sides if it has two."""
        if not self.error > 0:
            return nan
        return min(1.0, len(region.limits) * min(self._p(region.low, -1), self._p(region.high, 1)))

    def _p(self, limit: float, side: int) -> float:
        """Return p of the one-sided test that the mean is above (1) or below (-1) a limit."""
        if not isfinite(limit):
            return 0.0 if side * limit < 0 else 1.0
        return float(t.sf(side * (self.mean - limit) / self.error, self.df))


def on_these_photographs(effects: pd.DataFrame) -> Estimate:
    """Estimate the mean over these photographs, with seeds as the repeats."""
    values = effects.mean(axis="columns")
    n = len(values)
    deviation = float(values.std()) if n > 1 else nan
    mean = float(values.mean()) if n else nan
    return Estimate(mean, deviation / sqrt(n) if n > 1 else nan, n - 1, n, effects.shape[1], deviation)


def on_photographs(effects: pd.DataFrame) -> Estimate:
    """Estimate the mean over the photographs that these are a sample of, with photographs and seeds crossed."""
    fixed = on_these_photographs(effects)
    seeds, photographs = effects.shape
    if min(seeds, photographs) < 2:
        return Estimate(fixed.mean, nan, nan, seeds, photographs, fixed.deviation)
    of_seeds = float(effects.mean(axis="columns").var()) / seeds
    of_photographs = float(effects.mean(axis="index").var()) / photographs
    variance = of_seeds + of_photographs
    if not variance:
        return Estimate(fixed.mean, 0.0, nan, seeds, photographs, fixed.deviation)
    df = variance**2 / (of_seeds**2 / (seeds - 1) + of_photographs**2 / (photographs - 1))
    return Estimate(fixed.mean, sqrt(variance), df, seeds, photographs, fixed.deviation)


def power(distance: float, deviation: float, seeds: int, level: float = LEVEL) -> float:
    """Return the probability that a test passes if the effect is this far inside a limit."""
    critical = t.ppf(1 - level, seeds - 1)
    return float(nct.sf(critical, seeds - 1, distance / deviation * sqrt(seeds)))


def seeds_needed(distance: float, deviation: float, level: float = LEVEL) -> int | None:
    """Return the fewest seeds (3 or more) with a power of POWER; None for more than MAX_SEEDS."""
    counts = range(MIN_SEEDS, MAX_SEEDS + 1) if distance > 0 else range(0)
    i = bisect_left(counts, True, key=lambda n: power(distance, deviation, n, level) >= POWER)
    return counts[i] if i < len(counts) else None


def false_discovery_rates(p: Sequence[float]) -> np.ndarray:
    """Return p adjusted over all finite ones together (Benjamini and Hochberg); nan stays nan."""
    values = np.array(p, dtype=float)
    tested = np.isfinite(values)
    if tested.any():
        values[tested] = false_discovery_control(values[tested])
    return values
