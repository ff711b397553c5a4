"""Verdicts: does a claim hold, is it refuted, or is neither certain?

Two one-sided tests are made at a level of 5 % each: that the effect is in the claim's region, and that it is outside.
The claim holds if the first passes, is refuted if the second does, and is undecided if neither. A claim that speaks of
every round holds if the test passes at every one (intersection-union). It is refuted if the other test passes at one of
them or for their mean, corrected for the number of these tests (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from math import isfinite, nan

import pandas as pd

from analysis.claims import ANYWHERE, HERE, Claim
from analysis.stats import (
    LEVEL,
    MIN_PHOTOGRAPHS,
    MIN_SEEDS,
    Estimate,
    false_discovery_rates,
    on_photographs,
    on_these_photographs,
    seeds_needed,
)
from analysis.text import percent, plural

FALSE_DISCOVERIES = 0.05
"""Share of the decided claims of an exhibit that may be wrong (Benjamini and Hochberg)."""

HOLDS, REFUTED, UNDECIDED, NOT_MEASURED = "holds", "refuted", "undecided", "not measured"

SCOPES: dict[str, Callable[[pd.DataFrame], Estimate]] = {HERE: on_these_photographs, ANYWHERE: on_photographs}


@dataclass(frozen=True)
class Verdict:
    """One claim, judged by one reported output (or by the masks themselves) in one scope."""

    claim: Claim
    output: str
    """peak, last or stop (`lip.ledger.schema.OUTPUTS`), or what else was measured: masks, loss."""
    scope: str
    verdict: str
    effect: float = nan
    """Mean effect in the claim's unit, of the round (or what else every one is tested of) that decides."""
    low: float = nan
    high: float = nan
    """95 % interval of the effect."""
    d: float = nan
    """Cohen's d of the paired differences."""
    p: float = nan
    """Of the test that the claim holds."""
    p_against: float = nan
    """Of the test that it does not."""
    n: int = 0
    """Seeds."""
    photographs: int = 0
    note: str = ""
    q: float = nan
    """p of the smaller test adjusted for false discoveries within the exhibit; nan for what is not primary."""
    started: date | None = None
    """When the first of its fits began."""
    by_protocol: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The verdicts by raw and by averaged outputs, where the claim speaks of PSNR."""

    def __str__(self) -> str:
        """Print it as in `+0.12 dB [-0.03, +0.27], n = 10: holds (at most 0.1 dB below)`."""
        return f"{self.measured}: {self.verdict} ({self.claim.threshold})"

    @property
    def measured(self) -> str:
        """Print the effect with its interval and n."""
        if self.n == 0:
            return "no data"
        interval = f" [{self.low:+.2f}, {self.high:+.2f}]" if isfinite(self.low) else ""
        photographs = f", {plural(self.photographs, 'photograph')}" if self.scope == ANYWHERE else ""
        return f"{self.effect:+.2f} {self.claim.unit}{interval}, n = {self.n}{photographs}"

    @property
    def tested(self) -> str:
        """Print the effect size and the test, as in `d = 1.3, p = 0.01, q = 0.02`; empty without a test."""
        p = min(self.p, self.p_against)
        if not isfinite(p):
            return ""
        texts = [f"d = {self.d:.1f}"] if isfinite(self.d) else []
        texts += [f"{name} {_p_text(value)}" for name, value in (("p", p), ("q", self.q)) if isfinite(value)]
        return ", ".join(texts)

    @property
    def decided(self) -> bool:
        """Tell whether it holds or is refuted."""
        return self.verdict in (HOLDS, REFUTED)

    @property
    def confirmed(self) -> bool:
        """Tell whether it is decided with false discoveries controlled too."""
        return self.decided and self.q <= FALSE_DISCOVERIES

    @property
    def primary(self) -> bool:
        """Tell whether it is by the claim's primary output, and does not follow from another claim."""
        return self.output == self.claim.outputs[0] and not self.claim.repeats

    @property
    def registration(self) -> str:
        """Say whether the claim was written before its data."""
        if self.n == 0:
            return ""
        before = self.claim.written is not None and self.started is not None and self.claim.written < self.started
        return "written before its data" if before else "exploratory"


def judge(claim: Claim, rows: pd.DataFrame, output: str = "last", scope: str = HERE) -> Verdict:
    """Judge a claim by rows with a seed, the claim's cells and its value; `image` names photographs.

    A seed that lacks a cell would change what is averaged, so it is left out and the note says so.
    """
    (verdict,) = judge_scopes(claim, rows, output, [scope])
    return verdict


def judge_scopes(claim: Claim, rows: pd.DataFrame, output: str, scopes: Sequence[str]) -> list[Verdict]:
    """Judge a claim in several scopes by the same rows."""
    cells = list(dict.fromkeys([*claim.cells, *(["image"] if "image" in rows else [])]))
    table = rows.pivot(index="seed", columns=cells, values=claim.value)
    complete = table.dropna()
    if complete.empty:
        return [Verdict(claim, output, scope, NOT_MEASURED) for scope in scopes]
    parts = _parts(claim, complete)
    verdicts = [_tested(claim, output, scope, parts) for scope in scopes]
    incomplete = len(table) - len(complete)
    lost = f"{plural(incomplete, 'incomplete seed')} left out" if incomplete else ""
    return [replace(verdict, note=joined(verdict.note, lost)) for verdict in verdicts]


def _parts(claim: Claim, table: pd.DataFrame) -> pd.DataFrame:
    """Average effects, seeds by cells, to columns of two levels: what the claim speaks of every one of; photographs."""
    columns = table.columns.to_frame(index=False)
    photographs = columns["image"] if "image" in columns else pd.Series("", index=columns.index)
    every = [name for name in claim.every if name in columns and name != claim.trend]
    if claim.trend:
        groups = [*(columns[name] for name in every), photographs]
        table = table * _slope_weights(columns[claim.trend].astype("float64"), groups)
    names = pd.Series([", ".join(map(_name, every, values)) for values in columns[every].to_numpy()])
    return table.T.groupby([names.to_numpy(), photographs.to_numpy()], sort=False).mean().T


def _slope_weights(x: pd.Series, groups: list[pd.Series]) -> list[float]:
    """Return factors that turn the mean of a group into its least-squares slope over x."""
    centred = x - x.groupby(groups).transform("mean")
    squares = (centred**2).groupby(groups).transform("sum")
    return list(centred * x.groupby(groups).transform("size") / squares)


def _name(column: str, value: object) -> str:
    return f"{percent(int(float(str(value)))):.4g} %" if column == "round" else str(value)


def _tested(claim: Claim, output: str, scope: str, effects: pd.DataFrame) -> Verdict:
    """Decide: a claim holds if every part passes; it is refuted if one part fails, or the mean over them does.

    If all parts lay in the claim's region, which is an interval, so would their mean.
    """
    names = effects.columns.get_level_values(0)
    parts = list(dict.fromkeys(names))
    estimates = {name: SCOPES[scope](effects.loc[:, names == name]) for name in parts}
    overall = SCOPES[scope](effects.T.groupby(level=1).mean().T)
    reason = _untestable([*estimates.values(), overall], scope)
    if reason:
        low, high = overall.interval
        return Verdict(
            claim,
            output,
            scope,
            UNDECIDED,
            overall.mean,
            low,
            high,
            overall.d,
            n=overall.seeds,
            photographs=overall.photographs,
            note=reason,
        )
    inside = {name: each.p_inside(claim.region) for name, each in estimates.items()}
    outside = {name: each.p_outside(claim.region) for name, each in estimates.items()}
    worst, failing = max(inside, key=inside.__getitem__), min(outside, key=outside.__getitem__)
    p, p_against, against = inside[worst], outside[failing], estimates[failing]
    where = "" if len(parts) == 1 else f"refuted at {failing}"
    if len(parts) > 1:
        p_part, p_mean = min(1.0, len(parts) * p_against), overall.p_outside(claim.region)
        p_against = min(1.0, 2 * min(p_part, p_mean))
        if p_mean < p_part:
            against, where = overall, "refuted on average"
    word = HOLDS if p <= LEVEL else REFUTED if p_against <= LEVEL else UNDECIDED
    estimate = against if word == REFUTED else estimates[worst]
    if word != REFUTED:
        where = "" if len(parts) == 1 else f"{'least' if word == HOLDS else 'not'} certain at {worst}"
    low, high = estimate.interval
    remedy = _n_that_decides(estimate, claim, len(parts)) if word == UNDECIDED and scope == HERE else ""
    return Verdict(
        claim,
        output,
        scope,
        word,
        estimate.mean,
        low,
        high,
        estimate.d,
        p,
        p_against,
        estimate.seeds,
        estimate.photographs,
        joined(where, remedy),
    )


def _untestable(estimates: list[Estimate], scope: str) -> str:
    """Say why these estimates cannot be tested; empty if they can."""
    seeds, photographs = (min(getattr(each, name) for each in estimates) for name in ("seeds", "photographs"))
    if seeds < MIN_SEEDS:
        return f"{plural(seeds, 'seed')}, {MIN_SEEDS} are needed"
    if scope == ANYWHERE and photographs < MIN_PHOTOGRAPHS:
        return f"{plural(photographs, 'photograph')}, {MIN_PHOTOGRAPHS} are needed"
    if any(not each.error > 0 for each in estimates):
        return "all seeds give the same value, so there is no spread to test with"
    return ""


def _n_that_decides(estimate: Estimate, claim: Claim, parts: int) -> str:
    """Say how many seeds would decide a claim at the least certain part if its mean and spread stay as measured."""
    distance = min(abs(estimate.mean - limit) for limit in claim.region.limits)
    level = LEVEL if estimate.mean in claim.region else LEVEL / (parts if parts == 1 else 2 * parts)
    n = seeds_needed(distance, estimate.deviation, level)
    return f"about {max(n, estimate.seeds + 1)} seeds would decide it" if n else "too near the threshold to decide"


def adjusted(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Add q to the primary verdicts that were tested, over those of one scope together."""
    verdicts = list(verdicts)
    for scope in SCOPES:
        family = [i for i, each in enumerate(verdicts) if each.scope == scope and each.primary]
        rates = false_discovery_rates([min(verdicts[i].p, verdicts[i].p_against) for i in family])
        for i, q in zip(family, rates, strict=True):
            verdicts[i] = replace(verdicts[i], q=float(q))
    return verdicts


def joined(*notes: str) -> str:
    """Join what there is of some notes."""
    return "; ".join(filter(None, notes))


def _p_text(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
