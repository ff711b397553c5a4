"""Searches as tidy data frames: settings, what came of them, and which keys matter.

Importance is PED-ANOVA's (arXiv 2304.10255): how far the distribution of a key among the best quarter of settings is
from that among all, as a share of the sum over keys. It sees what a key does on average over the others;
`interactions` sees what two do together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import inf, log, nan, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from analysis.frames import Frames
from lip.ledger.ledger import Ledger

BEST_SHARE = 0.25
"""Share of the settings that count as good."""
MIN_SETTINGS = 16
"""Settings from which on importance is told."""
POINTS = 101
"""Points at which densities are compared."""
BANDWIDTH = 0.08
"""Least standard deviation of a density's kernel, as a share of the range."""


@dataclass(frozen=True)
class SearchResult:
    """A search: `settings` and `held_out` have a row per setting.

    They have its number (0: the baseline), its state, a column per key, the number of blocks that it was fitted to, the
    mean of the objective over them, and how much better than the baseline's that is on the same blocks, with the 95 %
    t-interval over blocks.
    """

    name: str
    objective: str
    is_oracle: bool
    is_small: bool
    """Less is better."""
    space: Mapping[str, Mapping[str, Any]]
    settings: pd.DataFrame
    held_out: pd.DataFrame

    @property
    def keys(self) -> list[str]:
        """List the searched keys."""
        return list(self.space)

    @property
    def proposed(self) -> pd.DataFrame:
        """Return the settings that are judged, without the baseline."""
        return self.settings[(self.settings["number"] > 0) & np.isfinite(self.settings["score"])]

    @property
    def best(self) -> pd.Series | None:
        """Return the best setting that was fitted to all blocks; None for none."""
        complete = self.settings[self.settings["state"] == "complete"]
        return None if complete.empty else complete.iloc[int(complete["score"].to_numpy().argmax())]

    @property
    def best_proposed(self) -> int | None:
        """Return the number of the best setting, unless that is the baseline."""
        best = self.best
        return None if best is None else int(best["number"]) or None

    @property
    def positions(self) -> pd.DataFrame:
        """Return where the judged settings (by number) lie between the ends of each key, 0 to 1; nan for no value."""
        return pd.DataFrame(
            {key: [position(value, self.space[key]) for value in self.proposed[key]] for key in self.keys},
            index=self.proposed.index,
            dtype="float64",
        )


def load_searches(frames: Frames) -> list[SearchResult]:
    """Load the searches that a sweep consists of."""
    ledger = Ledger(frames.storage)
    names = frames.points["experiment"].unique()
    recorded = [ledger.search(str(name), str(frames.profile)) for name in names]
    return [_search(search, frames) for search in recorded if search is not None]


def _search(recorded: Mapping[str, Any], frames: Frames) -> SearchResult:
    objective = recorded["objective"]
    fits = frames.fits.drop_duplicates("fit").set_index("fit")
    sign = -1 if objective["is_small"] else 1
    scores = (sign * fits[objective["column"]]).where(~fits["diverged"].astype("bool")).fillna(-inf).to_dict()
    space = recorded["definition"]["space"]
    settings = recorded["settings"]
    baseline = settings[0]["fits"]
    rows = [
        _row(number, each["setting"], each["state"], space, scores, each["fits"], baseline, sign)
        for number, each in enumerate(settings)
    ]
    frame = pd.DataFrame(rows)
    frame["score"] = _scores(frame, sign)
    held_out = recorded["held_out"]
    apart = [
        _row(int(n), settings[int(n)]["setting"], settings[int(n)]["state"], space, scores, ids, held_out["0"], sign)
        for n, ids in held_out.items()
    ]
    return SearchResult(
        name=recorded["experiment"],
        objective=objective["column"],
        is_oracle=objective["is_oracle"],
        is_small=objective["is_small"],
        space=space,
        settings=frame,
        held_out=pd.DataFrame(apart, columns=frame.columns.drop("score")),
    )


def _row(
    number: int,
    setting: Mapping[str, Any],
    state: str,
    space: Mapping[str, Any],
    scores: Mapping[str, float],
    fits: list[str],
    baseline: list[str],
    sign: int,
) -> dict[str, Any]:
    own = [scores[fit] for fit in fits if fit in scores]
    pairs = zip(fits, baseline, strict=False)
    gains = [scores[fit] - scores[other] for fit, other in pairs if fit in scores and other in scores] if number else []
    low, high = interval(gains)
    return {
        "number": number,
        "state": state,
        **{key: setting.get(key) for key in space},
        "blocks": len(own),
        "mean": sign * float(np.mean(own)) if own else nan,
        "better_by": float(np.mean(gains)) if gains else nan,
        "low": low,
        "high": high,
    }


def _scores(settings: pd.DataFrame, sign: int) -> pd.Series:
    """Return scores that can be compared: the baseline's mean plus the difference to it on the same blocks."""
    compared = sign * settings["mean"].iloc[0] + settings["better_by"]
    return compared.where(settings["number"] > 0, sign * settings["mean"]).astype("float64")


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % t-interval of a mean; nan for fewer than two finite values."""
    n = len(values)
    if n < 2 or not np.isfinite(values).all():
        return nan, nan
    half = float(t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / sqrt(n)
    return float(np.mean(values)) - half, float(np.mean(values)) + half


def position(value: Any, distribution: Mapping[str, Any]) -> float:
    """Return where a value lies between the ends of a distribution, 0 to 1; nan for no value."""
    if "choice" in distribution:
        values = distribution["choice"]
        return values.index(value) / (len(values) - 1) if value in values else nan
    if value is None or value != value:
        return nan
    if "log" in distribution:
        low, high = distribution["log"]
        return log(value / low) / log(high / low)
    low, high = distribution.get("uniform") or distribution["int"]
    return (value - low) / (high - low)


def importance(search: SearchResult) -> pd.Series:
    """Return the importance of each key, in [0, 1] with sum 1; nan for too few settings."""
    positions, scores = search.positions, search.proposed["score"]
    divergences = pd.Series({key: _divergence(positions[key], scores) for key in search.keys}, dtype="float64")
    total = divergences.sum()
    return divergences / total if total > 0 else divergences * nan


def _divergence(positions: pd.Series, scores: pd.Series) -> float:
    """Return Pearson's divergence of a key among the best settings from that among all."""
    known = positions.notna()
    positions, scores = positions[known], scores[known]
    if len(scores) < MIN_SETTINGS:
        return nan
    best = positions[scores >= scores.quantile(1 - BEST_SHARE)]
    common, good = _density(positions), _density(best)
    return float((common * (good / common - 1) ** 2).sum())


def _density(positions: pd.Series) -> np.ndarray:
    """Return a density at POINTS points from 0 to 1, with a little of the even one."""
    points = np.linspace(0, 1, POINTS)
    values = positions.to_numpy(dtype=np.float64)
    width = max(BANDWIDTH, float(values.std()) * len(values) ** -0.2)
    kernels = np.exp(-0.5 * ((points[:, None] - values[None, :]) / width) ** 2)
    kernels /= kernels.sum(axis=0)  # what lies beyond the ends is put back between them
    return (kernels.sum(axis=1) + 1 / POINTS) / (len(values) + 1)


def interactions(search: SearchResult) -> pd.DataFrame:
    """Return for each pair of keys what share of the variance of scores they explain together beyond each alone.

    By least squares of ranks: a product of two keys beside a quadratic of every key. Symmetric, nan on the diagonal and
    for too few settings.
    """
    positions, keys = search.positions.dropna(), search.keys
    found = pd.DataFrame(nan, index=keys, columns=keys)
    ranks = search.proposed["score"].loc[positions.index].rank().to_numpy(dtype=np.float64)
    if len(positions) < max(MIN_SETTINGS, 2 * (2 * len(keys) + 2)) or not ranks.std():
        return found
    x = 2 * positions.to_numpy(dtype=np.float64) - 1
    alone = np.column_stack([np.ones(len(x)), x, x**2])
    unexplained = _residue(alone, ranks)
    for i, j in combinations(range(len(keys)), 2):
        both = _residue(np.column_stack([alone, x[:, i] * x[:, j]]), ranks)
        found.iloc[i, j] = found.iloc[j, i] = (unexplained - both) / ((ranks - ranks.mean()) ** 2).sum()
    return found


def _residue(columns: np.ndarray, values: np.ndarray) -> float:
    """Return the sum of squares that columns leave unexplained."""
    solution = np.linalg.lstsq(columns, values, rcond=None)[0]
    return float(((values - columns @ solution) ** 2).sum())
