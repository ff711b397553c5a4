"""One look for all figures: colours, axes, and files that are the same bytes for the same data.

Figures are built on matplotlib's Figure directly. No pyplot, so nothing global to set, leak or close.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from PIL import Image

from analysis.frames import FAULTS
from lip.ledger.schema import OUTPUTS

_SETTINGS = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("paper"),
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so figures are laid out alike on every machine
    "axes.edgecolor": "#6b7280",
    "axes.labelcolor": "#374151",
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.titlecolor": "#111827",
    "axes.labelsize": 9,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.color": "#6b7280",
    "ytick.color": "#6b7280",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "svg.fonttype": "none",  # text stays text: smaller files, searchable
    "svg.hashsalt": "lip",  # the same data give the same bytes
}


@dataclass(frozen=True)
class Style:
    """A line's look: colour and marker always go together."""

    color: str
    marker: str


PRUNERS = {
    "imp": Style("#0173b2", "o"),
    "random": Style("#029e73", "s"),
    "snip": Style("#de8f05", "^"),
}
DENSE = "#4b5563"
MOST_PIXELS = 256
DEPTH = 4.0
"""How many dB below the dense prior PSNR axes end: a net that collapses would flatten all that is of interest."""

_OTHERS = [
    Style("#cc78bc", "D"),
    Style("#ca9161", "v"),
    Style("#56b4e9", "<"),
    Style("#d55e00", "X"),
    Style("#949494", "p"),
    Style("#b8a500", "*"),
]


def styles(names: Sequence[str], fixed: dict[str, Style] = PRUNERS) -> dict[str, Style]:
    """A look for every name: its fixed one, or one of the colour-blind-safe rest, in order."""
    rest = [name for name in names if name not in fixed]
    return {**fixed, **{name: _OTHERS[i % len(_OTHERS)] for i, name in enumerate(rest)}}


@contextmanager
def look() -> Iterator[None]:
    """The common style, for the time of building or saving a figure."""
    with mpl.rc_context(_SETTINGS):
        yield


def psnr_panels(
    scores: pd.DataFrame,
    line: str,
    labels: dict[str, str],
    looks: dict[str, Style],
    panel: str = "image",
    x: str = "round",
    marks: pd.DataFrame | None = None,
) -> Figure:
    """PSNR over sparsity or size: a row of panels per image, a column per reported output.

    `scores` has seed, round, output, psnr, FAULTS, a column `panel`, a column `line` with the keys of `labels`,
    and `x`: round, kept_parameters or percent. The dense prior is that of the first line which has one. `marks` are
    fits of another prior, shown at their size, with its name in `line`.
    """
    panels = sorted(scores[panel].unique())
    unpruned = scores[scores["round"] == 0].sort_values(line, key=lambda names: names.map(list(labels).index))
    dense = unpruned.drop_duplicates([panel, "seed", "output"]).groupby([panel, "output"])["psnr"].mean()
    with look():
        figure, axes = grid(len(panels), len(OUTPUTS), height=2.3)
        for i, name in enumerate(panels):
            shown = scores[scores[panel] == name]
            floor = shown.loc[shown["round"] == 0, "psnr"].min() - DEPTH
            for j, (output, title) in enumerate(OUTPUTS.items()):
                ax = axes[i, j]
                rows = shown[shown["output"] == output]
                if (name, output) in dense.index:
                    ax.axhline(float(dense.loc[(name, output)]), color=DENSE, linewidth=1.2, linestyle=(0, (5, 3)))
                lines(ax, rows, x, "psnr", line, list(labels), looks)
                failed = rows[rows[list(FAULTS)].any(axis="columns")]
                ax.scatter(
                    failed[x],
                    failed["psnr"].clip(lower=floor),
                    marker="x",
                    s=22,
                    linewidths=1.1,
                    color=[looks[key].color for key in failed[line]],
                    zorder=4,
                    clip_on=False,
                )
                if marks is not None:
                    _mark(ax, marks[(marks[panel] == name) & (marks["output"] == output)], line, looks)
                if x == "round":
                    sparsity_axis(ax, int(scores["round"].max()))
                elif x == "kept_parameters":
                    log_axis(ax)
                ax.set_title(title if i == 0 else "")
                ax.set_xlabel(AXIS_LABELS[x] if i == len(panels) - 1 else "")
            axes[i, 0].set_ylabel(f"{short(name)}\nPSNR (dB)", parse_math=False)
            if shown["psnr"].min() < floor:
                axes[i, 0].set_ylim(bottom=floor)
        marked = {} if marks is None else {str(key): str(key) for key in marks[line].unique()}
        legend(figure, labels | marked, looks, seeds=scores["seed"].nunique(), dense=True)
    return figure


AXIS_LABELS = {"round": "sparsity (%)", "kept_parameters": "kept parameters", "percent": "sparsity (%)"}


def _mark(ax: Axes, rows: pd.DataFrame, line: str, looks: dict[str, Style]) -> None:
    for name, part in rows.groupby(line):
        style = looks[str(name)]
        mean, deviation = part["psnr"].mean(), part["psnr"].std() if len(part) > 1 else 0
        size = part["kept_parameters"].mean()
        ax.errorbar(size, mean, deviation, color=style.color, marker=style.marker, markersize=6, capsize=2, zorder=5)


def log_axis(ax: Axes) -> None:
    """A logarithmic axis with a few labels, in thousands and millions."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 10 * low else (1, 2, 3, 4, 6), numticks=8))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.tick_params("x", labelsize=7)


def lines(
    ax: Axes,
    data: pd.DataFrame,
    x: str,
    y: str,
    line: str,
    order: list[str],
    looks: dict[str, Style],
    every: int = 1,
) -> None:
    """Mean over seeds as a line, one standard deviation as a band (none with one seed), a marker at `every` so many."""
    data = data.dropna(subset=[y])
    order = [name for name in order if name in set(data[line])]
    if not order:
        return
    sns.lineplot(
        data,
        x=x,
        y=y,
        hue=line,
        style=line,
        hue_order=order,
        style_order=order,
        palette={name: looks[name].color for name in order},
        markers={name: looks[name].marker for name in order},
        dashes=False,
        errorbar="sd",
        err_kws={"alpha": 0.16, "linewidth": 0},
        linewidth=1.5,
        markersize=4,
        markeredgewidth=0.5,
        markevery=every,
        legend=False,
        ax=ax,
    )


def dot_panels(
    rows: pd.DataFrame,
    category: str,
    line: str,
    labels: dict[str, str],
    looks: dict[str, Style],
    value: str = "psnr",
    text: str = "PSNR (dB)",
    zero: bool = False,
) -> Figure:
    """A value per category as dots, mean over seeds with one standard deviation, a panel per reported output.

    `rows` has seed, output, the columns `category` and `line` (with the keys of `labels`) and the value. `zero` marks
    it.
    """
    categories = list(dict.fromkeys(rows[category]))[::-1]
    with look():
        figure, axes = grid(1, len(OUTPUTS), height=max(0.34, 0.14 * len(labels)) * len(categories) + 0.9)
        for ax, (output, title) in zip(axes[0], OUTPUTS.items(), strict=True):
            panel = rows[rows["output"] == output].dropna(subset=[value])
            if zero:
                ax.axvline(0, color=DENSE, linewidth=1, linestyle=(0, (5, 3)))
            for j, key in enumerate(labels):
                own = panel[panel[line] == key].groupby(category)[value]
                mean, deviation = own.mean(), own.std().fillna(0)
                at = [categories.index(name) + 0.16 * ((len(labels) - 1) / 2 - j) for name in mean.index]
                style = looks[key]
                ax.errorbar(
                    mean,
                    at,
                    xerr=deviation,
                    color=style.color,
                    marker=style.marker,
                    markersize=5,
                    linestyle="",
                    capsize=2,
                )
            ax.set_yticks(range(len(categories)), [short(name, 30) for name in categories], parse_math=False)
            ax.set_ylim(-0.6, len(categories) - 0.4)
            ax.set_title(title)
            ax.set_xlabel(text)
        legend(figure, labels, looks, seeds=rows["seed"].nunique())
    return figure


def curve_panels(
    rows: pd.DataFrame,
    titles: Mapping[Any, str],
    values: dict[str, str],
    labels: dict[str, str],
    looks: dict[str, Style],
    log: bool = False,
) -> Figure:
    """Values over the steps of training: a column of panels per key of `titles` (in `panel`), a row per value.

    `rows` has panel, pruner, seed, step and the columns named by `values`, whose texts label the axes.
    """
    with look():
        figure, axes = grid(len(values), len(titles), height=2.4)
        for i, (value, text) in enumerate(values.items()):
            for ax, (key, title) in zip(axes[i], titles.items(), strict=True):
                panel = rows[rows["panel"] == key]
                lines(ax, panel, "step", value, "pruner", list(labels), looks, every=8)
                log_axis(ax)
                if log:
                    ax.set_yscale("log")
                ax.set_title(title if i == 0 else "")
                ax.set_xlabel("step" if i == len(values) - 1 else "")
            axes[i, 0].set_ylabel(text)
        legend(figure, labels, looks, seeds=rows["seed"].nunique())
    return figure


@dataclass(frozen=True)
class Tile:
    """A picture in a sheet: its pixels, uint8 (height, width, channels) or values of a map, and words around it."""

    pixels: np.ndarray
    title: str = ""
    colors: str = "gray"
    """The colour map of a map of values."""
    limits: tuple[float | None, float | None] = (None, None)
    """Values of its ends; None for the map's own extremes."""


def sheet(rows: Sequence[Sequence[Tile | None]], names: list[str], inches: float = 1.45) -> Figure:
    """Pictures in rows, each row with a name; small ones with their pixels as they are, large ones made smaller."""
    columns = max(map(len, rows))
    with look():
        figure = Figure(figsize=(max(inches * columns, 4.2) + 0.6, (inches + 0.3) * len(rows)))
        figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.03)
        axes = figure.subplots(len(rows), columns, squeeze=False)
        for tiles, name, line in zip(rows, names, axes, strict=True):
            for ax, tile in zip(line, [*tiles, *[None] * (columns - len(tiles))], strict=True):
                ax.set_axis_off()
                if tile is not None:
                    low, high = tile.limits
                    ax.imshow(_small(tile.pixels), cmap=tile.colors, vmin=low, vmax=high, interpolation="nearest")
                    ax.set_title(tile.title, fontsize=7, parse_math=False)
            line[0].set_axis_on()
            line[0].grid(False)
            line[0].set_xticks([])
            line[0].set_yticks([])
            line[0].spines[:].set_visible(False)
            line[0].set_ylabel(name, fontsize=8, parse_math=False)
    return figure


def _small(pixels: np.ndarray) -> np.ndarray:
    """Pictures of at most MOST_PIXELS a side: a page of many would be too large otherwise. Maps stay as they are."""
    if pixels.dtype != np.uint8 or max(pixels.shape[:2]) <= MOST_PIXELS:
        return pixels
    picture = Image.fromarray(pixels.squeeze())
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS), Image.Resampling.LANCZOS)
    return np.atleast_3d(np.asarray(picture))


def sparsity_axis(ax: Axes, last: int) -> None:
    """Rounds at equal distances, labelled with their sparsity: the paper's axis, which spreads the sparse end."""
    every = -(-last // 8) or 1
    rounds = np.arange(0, last + 1, every)
    ax.set_xticks(rounds, [f"{percent(int(k)):.3g}" for k in rounds])
    ax.set_xlim(-0.3, last + 0.3)


def percent(round_: int) -> float:
    """Sparsity in percent after a number of rounds."""
    return 100 * (1 - 0.8**round_)


def legend(figure: Figure, labels: dict[str, str], looks: dict[str, Style], seeds: int, dense: bool = False) -> None:
    """Above the panels, where it covers no data; with n, for a figure goes places without its caption."""
    handles = [
        Line2D([], [], color=looks[name].color, marker=looks[name].marker, markersize=5, label=short(label, 36))
        for name, label in labels.items()
    ]
    if dense:
        handles.append(Line2D([], [], color=DENSE, linewidth=1.2, linestyle=(0, (5, 3)), label="dense"))
    handles.append(Line2D([], [], linestyle="", label=f"n = {seeds} seed{'s' * (seeds != 1)}"))
    widest = max(len(str(handle.get_label())) for handle in handles)
    fitting = max(int(figure.get_figwidth() * 13) // (widest + 8), 1)  # 13 letters to the inch; line and gap take 8
    rows = -(-len(handles) // fitting)
    shown = figure.legend(handles=handles, loc="outside upper center", ncols=-(-len(handles) // rows))
    for text in shown.get_texts():
        text.set_parse_math(False)


def short(name: str, most: int = 24) -> str:
    """A name that fits beside its panel."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def layer_panels(layers: pd.DataFrame, labels: dict[str, str], looks: dict[str, Style]) -> Figure:
    """Sparsity of each layer, one panel per round.

    `layers` has seed, round, pruner, layer and sparsity, averaged over images.
    """
    rounds = sorted(layers["round"].unique())
    with look():
        figure, axes = grid(1, len(rounds), height=2.9)
        for ax, k in zip(axes[0], rounds, strict=True):
            panel = layers[layers["round"] == k].assign(percent=lambda frame: 100 * frame["sparsity"])
            ax.axhline(percent(int(k)), color=DENSE, linewidth=1, linestyle=(0, (1, 2)))
            lines(ax, panel, "layer", "percent", "pruner", list(labels), looks)
            ax.set_title(f"{percent(int(k)):.3g} % pruned")
            ax.set_xlabel("layer number")
            ax.set_ylim(-3, 103)
            ax.xaxis.get_major_locator().set_params(integer=True)
        axes[0, 0].set_ylabel("sparsity of the layer (%)")
        legend(figure, labels, looks, seeds=layers["seed"].nunique())
    return figure


def stop_panels(rows: pd.DataFrame, picks: pd.Series) -> Figure:
    """Training loss and PSNR over the rounds of IMP: a row of panels per task and image, a mark above each seed's pick.

    `rows` has panel, seed, round, loss and psnr of one output; `picks` the round by panel and seed, nan for none.
    """
    panels = sorted(rows["panel"].unique())
    imp = PRUNERS["imp"]
    with look():
        figure, axes = grid(len(panels), 2, height=2.3, share=False)
        for i, name in enumerate(panels):
            shown = rows[rows["panel"] == name].assign(pruner="imp")
            for ax, column in zip(axes[i], ("loss", "psnr"), strict=True):
                lines(ax, shown, "round", column, "pruner", ["imp"], {"imp": imp})
                marked = shown[shown["seed"].map(picks[name]) == shown["round"]]
                ax.scatter(marked["round"], marked[column], marker="v", s=36, color="#d55e00", zorder=4)
                sparsity_axis(ax, int(rows["round"].max()))
                ax.set_xlabel("sparsity (%)" if i == len(panels) - 1 else "")
            dense = shown.loc[shown["round"] == 0, "psnr"].mean()
            axes[i, 1].axhline(dense, color=DENSE, linewidth=1.2, linestyle=(0, (5, 3)))
            axes[i, 0].set_ylabel(f"{short(name)}\ntraining loss", parse_math=False)
            axes[i, 1].set_ylabel("PSNR (dB)")
        legend(figure, {"imp": "IMP"}, {"imp": imp}, seeds=rows["seed"].nunique(), dense=True)
    return figure


def has_pictures(figure: Figure) -> bool:
    """Tell whether a figure shows pictures rather than lines."""
    return any(ax.images for ax in figure.axes)


def jpeg(figure: Figure) -> bytes:
    """A figure of pictures, small enough for a page."""
    buffer = io.BytesIO()
    with look():
        figure.savefig(buffer, format="jpg", dpi=130, pil_kwargs={"quality": 85, "optimize": True})
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """A figure as SVG, without date: the same figure gives the same bytes."""
    return _saved(figure, "svg", {"Date": None})


def png(figure: Figure) -> bytes:
    """A figure as PNG at 160 dots per inch."""
    return _saved(figure, "png", {"Software": None})


def _saved(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    with look():
        figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
    figure.set_layout_engine("none")  # laid out once for all its files
    return buffer.getvalue()


def grid(rows: int, columns: int, height: float, share: bool = True) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(max(3.2 * columns, 4.2), height * rows + 0.5))
    figure.set_layout_engine("constrained", w_pad=0.07, h_pad=0.06)
    axes = figure.subplots(rows, columns, sharex=True, sharey="row" if share else False, squeeze=False)
    return figure, axes
