"""Verdicts: does the mean effect lie where the claim says, and how sure is that?

Everything is paired: a difference is between two fits of one image, seed, round and reported output, which share
theta_0, the code and the noise. Differences are averaged over images and rounds within a seed first, so that seeds are
the repeats: n counts them, and the 95 % t-interval is over them. The mean decides; the interval is shown beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt

import pandas as pd
from scipy.stats import t

MATCHING_TOLERANCE_DB = 0.1
"""A ticket matches when its seed mean is at most this much below the dense prior's. The paper names no tolerance."""

MIN_SEEDS = 3

HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "not enough data"


@dataclass(frozen=True)
class Region:
    """Where the mean effect lies if a claim holds; the limits belong to it unless it is `open`."""

    low: float = -inf
    high: float = inf
    open: bool = False

    def __contains__(self, effect: float) -> bool:
        return self.low < effect < self.high if self.open else self.low <= effect <= self.high

    def is_crossed_by(self, low: float, high: float) -> bool:
        """Whether one of the limits lies inside an interval."""
        return low < self.low < high or low < self.high < high


POSITIVE, NEGATIVE = Region(low=0, open=True), Region(high=0, open=True)
MATCHING = Region(low=-MATCHING_TOLERANCE_DB)
EQUAL = Region(-MATCHING_TOLERANCE_DB, MATCHING_TOLERANCE_DB)
NO_GAIN = Region(high=MATCHING_TOLERANCE_DB)
HARM = Region(high=-MATCHING_TOLERANCE_DB, open=True)


@dataclass(frozen=True)
class Verdict:
    """One claim, judged for one reported output (or for the masks themselves)."""

    claim: str
    paper: str
    """What the paper says."""
    output: str
    """peak, last or stop (`lip.schema.WHICH`), or masks."""
    effect: float
    """Mean effect in `unit`; nan without data."""
    low: float
    high: float
    """95 % t-interval of the effect over seeds; nan with fewer than two."""
    n: int
    """Seeds."""
    verdict: str
    note: str = ""
    unit: str = "dB"

    def __str__(self) -> str:
        """As in `+0.12 dB [-0.03, +0.27], n = 10: holds`."""
        return f"{self.measured}: {self.verdict}"

    @property
    def measured(self) -> str:
        """The effect with its interval and n."""
        if self.n == 0:
            return "no data"
        interval = f" [{self.low:+.2f}, {self.high:+.2f}]" if self.n > 1 else ""
        return f"{self.effect:+.2f} {self.unit}{interval}, n = {self.n}"


def judge(
    claim: str, paper: str, output: str, effects: pd.DataFrame, region: Region, note: str = "", unit: str = "dB"
) -> Verdict:
    """Judge by effects with a row per seed and a column per thing averaged over (image, round).

    A seed that lacks a column would change what is averaged, so it is left out and the note says so.
    """
    complete = effects.dropna()
    left_out = len(effects) - len(complete)
    effect, low, high = interval(complete.mean(axis="columns"))
    n = len(complete)
    notes = [note] if note else []
    if n < MIN_SEEDS:
        verdict = UNKNOWN
        notes.append(f"{n} seed{'s' * (n != 1)}, {MIN_SEEDS} are needed")
    else:
        verdict = HOLDS if effect in region else FAILS
        if region.is_crossed_by(low, high):
            notes.append("interval crosses the threshold")
    if left_out:
        notes.append(f"{left_out} incomplete seed{'s' * (left_out > 1)} left out")
    return Verdict(claim, paper, output, effect, low, high, n, verdict, "; ".join(notes), unit)


def interval(values: pd.Series) -> tuple[float, float, float]:
    """Mean and 95 % t-interval of independent values; nan where there are too few."""
    n = len(values)
    mean = float(values.mean()) if n else nan
    if n < 2:
        return mean, nan, nan
    half = float(t.ppf(0.975, n - 1)) * float(values.std()) / sqrt(n)
    return mean, mean - half, mean + half
