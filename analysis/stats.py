"""Claims, and verdicts on them: is the mean effect where the claim says, and how certain is that?

Everything is paired: a difference is between two fits of one image, seed, round and reported output, which share
theta_0, the code and the noise. Differences are averaged over images and rounds within a seed first, so that seeds are
the repeats: n counts them, and the 95 % t-interval is over them. The mean decides; the interval is shown beside it,
and so is the test of the hypothesis that the effect lies on the wrong side of the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, nan, sqrt

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, t

from analysis.text import OUTPUTS, plural

MATCHING_TOLERANCE_DB = 0.1
"""A ticket matches when its seed mean is at most this much below the dense prior's. The paper names no tolerance."""

MIN_SEEDS = 3

FALSE_DISCOVERIES = 0.05
"""Of the verdicts called confirmed, the share that may be wrong (Benjamini and Hochberg)."""

HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "not enough data"


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
        return (
            f"{'>' if self.open else '≥'} {self.low:g}"
            if isfinite(self.low)
            else f"{'<' if self.open else '≤'} {self.high:g}"
        )

    def is_crossed_by(self, low: float, high: float) -> bool:
        """Tell whether one of the limits lies inside an interval."""
        return low < self.low < high or low < self.high < high


POSITIVE, NEGATIVE = Region(low=0, open=True), Region(high=0, open=True)
MATCHING = Region(low=-MATCHING_TOLERANCE_DB)
EQUAL = Region(-MATCHING_TOLERANCE_DB, MATCHING_TOLERANCE_DB)
NO_GAIN = Region(high=MATCHING_TOLERANCE_DB)
HARM = Region(high=-MATCHING_TOLERANCE_DB, open=True)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement that can be tested, and its threshold, both written down before anything was run."""

    id: str
    statement: str
    paper: str
    """What the paper says, and where."""
    statistic: str
    """What is averaged over images and rounds within a seed."""
    region: Region
    """Where the mean over seeds lies if the claim holds."""
    unit: str = "dB"
    rounds: Sequence[int] = ()
    """Rounds that it speaks of; empty for all. It is judged only if the first and the last of them are measured."""
    value: str = ""
    """Column of an exhibit's effects that holds the statistic."""
    rows: Callable[[pd.DataFrame], pd.Series] | None = None
    """Marks the rows of these effects that it speaks of; None for all."""
    cells: Sequence[str] = ("round", "image")
    """Columns whose combinations are averaged within a seed."""
    outputs: Sequence[str] = tuple(OUTPUTS)
    """Reported outputs that it is judged by, or what else was measured: masks, loss."""
    worst_round: bool = False
    """Whether the worst round is judged, since the claim speaks of every round; else the mean."""
    note: Callable[[pd.DataFrame], str] | None = None
    """Says what its rows are, for the note of its verdicts; None for their range of sparsities."""
    unless: Callable[[pd.DataFrame], str] | None = None
    """Says why its rows cannot be judged, if another reason than missing fits; empty for none."""

    @property
    def threshold(self) -> str:
        """Print it as in `≥ -0.1 dB`."""
        return f"{self.region} {self.unit}"


@dataclass(frozen=True)
class Verdict:
    """One claim, judged for one reported output (or for the masks themselves)."""

    claim: Claim
    output: str
    """peak, last or stop (`lip.ledger.schema.WHICH`), or what else was measured: masks, loss, mean."""
    effect: float
    """Mean effect in the claim's unit; nan without data."""
    low: float
    high: float
    """95 % t-interval of the effect over seeds; nan with fewer than two."""
    d: float
    """Standardised effect size: Cohen's d of the paired differences, their mean over their standard deviation."""
    p: float
    """One-sided t-test of the effect lying outside the claim's region (the larger of two where that has two limits)."""
    n: int
    """Seeds."""
    verdict: str
    note: str = ""
    q: float = nan
    """p adjusted for the false discovery rate among all verdicts of a report."""

    def __str__(self) -> str:
        """Print it as in `+0.12 dB [-0.03, +0.27], n = 10: holds`."""
        return f"{self.measured}: {self.verdict}"

    @property
    def measured(self) -> str:
        """Print the effect with its interval and n."""
        if self.n == 0:
            return "no data"
        interval = f" [{self.low:+.2f}, {self.high:+.2f}]" if self.n > 1 else ""
        return f"{self.effect:+.2f} {self.claim.unit}{interval}, n = {self.n}"

    @property
    def tested(self) -> str:
        """Print the effect size and the test, as in `d = 1.3, q = 0.02`; empty without a test."""
        if not isfinite(self.p):
            return ""
        size = f"d = {self.d:.1f}, " if isfinite(self.d) else ""
        name, value = ("q", self.q) if isfinite(self.q) else ("p", self.p)
        return f"{size}{name} {'< 0.001' if value < 0.001 else f'= {value:.3f}'}"

    @property
    def confirmed(self) -> bool:
        """Tell whether it holds and the test confirms it, with false discoveries controlled."""
        return self.verdict == HOLDS and self.q <= FALSE_DISCOVERIES


def judge(claim: Claim, output: str, effects: pd.DataFrame, note: str = "") -> Verdict:
    """Judge a claim by effects with a row per seed and a column per image and round.

    A seed that lacks a column would change what is averaged, so it is left out and the note says so.
    """
    complete = effects.dropna()
    left_out = len(effects) - len(complete)
    seeds = complete.mean(axis="columns")
    effect, low, high = interval(seeds)
    n = len(complete)
    notes = [note] if note else []
    if n < MIN_SEEDS:
        verdict = UNKNOWN
        if n:
            notes.append(f"{plural(n, 'seed')}, {MIN_SEEDS} are needed")
    else:
        verdict = HOLDS if effect in claim.region else FAILS
        if claim.region.is_crossed_by(low, high):
            notes.append("interval crosses the threshold")
    if left_out and n:
        notes.append(f"{plural(left_out, 'incomplete seed')} left out")
    deviation = float(seeds.std()) if n > 1 else nan
    d = effect / deviation if deviation > 0 else nan
    return Verdict(claim, output, effect, low, high, d, p_value(seeds, claim.region), n, verdict, "; ".join(notes))


def interval(values: pd.Series) -> tuple[float, float, float]:
    """Return mean and 95 % t-interval of independent values; nan for too few."""
    n = len(values)
    mean = float(values.mean()) if n else nan
    if n < 2:
        return mean, nan, nan
    half = float(t.ppf(0.975, n - 1)) * float(values.std()) / sqrt(n)
    return mean, mean - half, mean + half


def p_value(values: pd.Series, region: Region) -> float:
    """Return p of the one-sided t-test of the mean lying outside a region; nan with fewer than two values."""
    n = len(values)
    if n < 2:
        return nan
    mean, error = float(values.mean()), float(values.std()) / sqrt(n)
    if not error:
        return 0.0 if mean in region else 1.0
    sides = [(limit - mean) * sign / error for limit, sign in ((region.low, 1), (region.high, -1)) if isfinite(limit)]
    return max(float(t.cdf(side, n - 1)) for side in sides)


def adjusted(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Add `q` to the verdicts that have a p: p adjusted over all of them (Benjamini and Hochberg)."""
    verdicts = list(verdicts)
    p = np.array([verdict.p for verdict in verdicts])
    q = np.full(len(p), nan)
    tested = np.isfinite(p)
    if tested.any():
        q[tested] = false_discovery_control(p[tested])
    return [replace(verdict, q=float(value)) for verdict, value in zip(verdicts, q, strict=True)]
