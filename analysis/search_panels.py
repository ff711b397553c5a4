"""Figures of searches: importance, parallel coordinates, interactions and slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.searches import SearchResult, importance, interactions
from analysis.style import DASHED, DENSE_COLOR, style_context
from analysis.text import shorten

BEST_COLOR, BAR_COLOR, DROPPED_COLOR = "#d55e00", "#0173b2", "#9ca3af"
MAX_SLICES = 6
"""Slices that are drawn at most, those of the most important keys."""
FLOOR = 0.1
"""Share of the settings, the worst ones, that an axis of scores may leave out."""


def search_panels(searches: list[SearchResult]) -> Figure:
    """Draw two rows per search: importance, parallel coordinates and interactions; then slices by importance."""
    slices = min(MAX_SLICES, max(len(search.keys) for search in searches))
    width = max(9.0, 1.9 * slices)
    with style_context():
        figure = Figure(figsize=(width, 4.9 * len(searches) + 0.4), layout="constrained")
        parts = figure.subfigures(len(searches), 1, squeeze=False)[:, 0]
        for part, search in zip(parts, searches, strict=True):
            _draw(part, search, slices)
        handles = [
            _handle("o", BAR_COLOR, "setting on all blocks"),
            _handle("x", DROPPED_COLOR, "dropped, estimated"),
            _handle("*", BEST_COLOR, "best"),
            Line2D([], [], color=DENSE_COLOR, linestyle=DASHED, label="baseline"),
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def _handle(marker: str, color: str, label: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, color=color, label=label)


def _draw(part: Any, search: SearchResult, slices: int) -> None:
    part.suptitle(shorten(search.name, 60), fontsize=10)
    upper, lower = part.subfigures(2, 1, height_ratios=(1.15, 1))
    shares = importance(search)
    first, second, third = upper.subplots(1, 3, width_ratios=(1, 2.4, 1.1))
    _bars(first, shares)
    _parallel(second, search)
    _matrix(third, interactions(search))
    order = list(shares.sort_values(ascending=False, na_position="last").index)[:MAX_SLICES]
    axes = lower.subplots(1, slices, squeeze=False, sharey=True)[0]
    for ax, key in zip(axes, order, strict=False):
        _slice(ax, search, key)
    for ax in axes[len(order) :]:
        ax.set_axis_off()
    axes[0].set_ylabel(label(search))


def label(search: SearchResult) -> str:
    """Name the objective on an axis."""
    text = search.objective.replace("_", " ").replace("psnr", "PSNR")
    unit = " (dB)" if search.objective.startswith("psnr") else ""
    return f"{text}{unit}{', oracle' * search.is_oracle}"


def _bars(ax: Axes, shares: pd.Series) -> None:
    ordered = shares.fillna(0).sort_values()
    ax.barh(range(len(ordered)), 100 * ordered, color=BAR_COLOR, height=0.6)
    ax.set_yticks(range(len(ordered)), [shorten(str(key), 14) for key in ordered.index])
    ax.set_xlabel("importance (%)" if shares.notna().any() else "importance: too few settings")
    ax.grid(visible=False, axis="y")


def _parallel(ax: Axes, search: SearchResult) -> None:
    """Draw a line per setting over the keys; the better, the darker, the best in its own colour."""
    positions, scores, keys = search.positions, search.proposed["score"], search.keys
    norm, colors = _scale(scores), colormaps["Blues"]
    for index in scores.sort_values().index:
        ax.plot(positions.loc[index], color=colors(0.2 + 0.8 * norm(scores[index])), linewidth=0.9, alpha=0.75)
    if (best := search.best_proposed) is not None:
        ax.plot(positions.loc[best], color=BEST_COLOR, linewidth=2.2, marker="*", markersize=8)
    ax.set_xticks(range(len(keys)), [shorten(key, 12) for key in keys])
    ax.set_ylim(-0.06, 1.06)
    ax.set_yticks([])
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")
    for place, key in enumerate(keys):
        low, high = _ends(search, key)
        ax.annotate(low, (place, -0.03), ha="center", va="top", fontsize=7, color=DENSE_COLOR)
        ax.annotate(high, (place, 1.03), ha="center", va="bottom", fontsize=7, color=DENSE_COLOR)
    ax.set_ylim(-0.14, 1.14)
    ax.set_xlim(-0.4, len(keys) - 0.6)
    ax.set_title("darker is better", fontsize=8)


def _matrix(ax: Axes, shares: pd.DataFrame) -> None:
    """Draw interactions as a matrix, in percent of the variance of ranks."""
    names = [shorten(str(key), 10) for key in shares.columns]
    values = 100 * shares.to_numpy(dtype=np.float64)
    ax.pcolormesh(np.ma.masked_invalid(values), cmap="Blues", vmin=0, vmax=max(10.0, np.nanmax(np.nan_to_num(values))))
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            ax.annotate(f"{value:.0f}", (j + 0.5, i + 0.5), ha="center", va="center", fontsize=7)
    places = np.arange(len(names)) + 0.5
    ax.set_xticks(places, names, rotation=60, ha="right", fontsize=7)
    ax.set_yticks(places, names, fontsize=7)
    ax.invert_yaxis()
    ax.grid(visible=False)
    ax.set_title("interactions (%)" if np.isfinite(values).any() else "interactions: too few settings", fontsize=8)


def _slice(ax: Axes, search: SearchResult, key: str) -> None:
    """Draw scores over a key: settings on all blocks, dropped ones, the best, and the baseline."""
    rows, distribution = search.proposed, search.space[key]
    x = search.positions[key]
    value = -rows["score"] if search.is_small else rows["score"]
    whole = rows["state"] == "complete"
    ax.scatter(x[whole], value[whole], s=12, color=BAR_COLOR, alpha=0.7, linewidths=0)
    ax.scatter(x[~whole], value[~whole], s=14, marker="x", color=DROPPED_COLOR, linewidths=0.9)
    if (best := search.best_proposed) is not None:
        ax.scatter(x[best], value[best], s=90, marker="*", color=BEST_COLOR, zorder=4)
    ax.axhline(search.settings["mean"].iloc[0], color=DENSE_COLOR, linewidth=1, linestyle=DASHED)
    if len(value):
        low, high = value.quantile(0 if search.is_small else FLOOR), value.quantile(1 - FLOOR if search.is_small else 1)
        margin = 0.08 * (high - low) or 0.1
        ax.set_ylim(float(low - margin), float(high + margin))
    ax.set_xlim(-0.06, 1.06)
    ax.set_xlabel(f"{shorten(key, 16)}{' (log)' * ('log' in distribution)}")
    if "choice" in distribution:
        values = distribution["choice"]
        ax.set_xticks(np.linspace(0, 1, len(values)), [shorten(str(each), 8) for each in values])
    else:
        ax.set_xticks([0, 1], list(_ends(search, key)))


def _ends(search: SearchResult, key: str) -> tuple[str, str]:
    (values,) = [search.space[key][kind] for kind in ("log", "uniform", "int", "choice") if kind in search.space[key]]
    low, high = values[0], values[-1]
    return tuple(f"{end:g}" if isinstance(end, (int, float)) else shorten(str(end), 8) for end in (low, high))  # type: ignore[return-value]


def _scale(scores: pd.Series) -> Normalize:
    """Return the scale of colours: from the median on, or there would be no difference among the good ones."""
    low, high = (scores.median(), scores.max()) if len(scores) else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1, clip=True)
