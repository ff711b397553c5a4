"""One look for all figures: colours, axes, and files that are the same bytes for the same data.

Figures are built on matplotlib's Figure directly. No pyplot, so nothing global to set, leak or close.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

OUTPUTS = {"peak": "oracle peak", "last": "last output", "stop": "ES-WMV stop"}
"""The reported outputs (`lip.schema.WHICH`), as they are called on the page. Each has its own panels."""

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
    """How a line looks everywhere: colour and marker always go together."""

    color: str
    marker: str


PRUNERS = {
    "imp": Style("#0173b2", "o"),
    "random": Style("#029e73", "s"),
    "snip": Style("#de8f05", "^"),
}
DENSE = "#4b5563"
DEPTH = 4.0
"""How many dB below the dense prior PSNR axes end: a net that collapses would flatten all that is of interest."""

_OTHERS = [
    Style("#cc78bc", "D"),
    Style("#ca9161", "v"),
    Style("#56b4e9", "P"),
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


def psnr_panels(scores: pd.DataFrame, line: str, labels: dict[str, str], looks: dict[str, Style]) -> Figure:
    """PSNR of the averaged outputs over sparsity: a row of panels per image, a column per reported output.

    `scores` has image, seed, round, output, psnr_ema, collapsed, and a column `line` with the keys of `labels`.
    """
    images = sorted(scores["image"].unique())
    dense = scores[scores["round"] == 0].groupby(["image", "output"])["psnr_ema"].mean()
    with look():
        figure, axes = _grid(len(images), len(OUTPUTS), height=2.3)
        for i, image in enumerate(images):
            shown = scores[scores["image"] == image]
            floor = shown.loc[shown["round"] == 0, "psnr_ema"].min() - DEPTH
            for j, (output, title) in enumerate(OUTPUTS.items()):
                ax = axes[i, j]
                panel = shown[shown["output"] == output]
                if (image, output) in dense.index:
                    ax.axhline(float(dense.loc[(image, output)]), color=DENSE, linewidth=1.2, linestyle=(0, (5, 3)))
                lines(ax, panel, "round", "psnr_ema", line, list(labels), looks)
                failed = panel[panel["collapsed"]]
                ax.scatter(
                    failed["round"],
                    failed["psnr_ema"].clip(lower=floor),
                    marker="x",
                    s=22,
                    linewidths=1.1,
                    color=[looks[name].color for name in failed[line]],
                    zorder=4,
                    clip_on=False,
                )
                sparsity_axis(ax, int(scores["round"].max()))
                ax.set_title(title if i == 0 else "")
                ax.set_xlabel("sparsity (%)" if i == len(images) - 1 else "")
            axes[i, 0].set_ylabel(f"{short(image)}\nPSNR (dB)", parse_math=False)
            if shown["psnr_ema"].min() < floor:
                axes[i, 0].set_ylim(bottom=floor)
        legend(figure, labels, looks, dense=True)
    return figure


def lines(ax: Axes, data: pd.DataFrame, x: str, y: str, line: str, order: list[str], looks: dict[str, Style]) -> None:
    """Mean over seeds as a line, one standard deviation as a band (none with one seed)."""
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
        legend=False,
        ax=ax,
    )


def sparsity_axis(ax: Axes, last: int) -> None:
    """Rounds at equal distances, labelled with their sparsity: the paper's axis, which spreads the sparse end."""
    every = -(-last // 8) or 1
    rounds = np.arange(0, last + 1, every)
    ax.set_xticks(rounds, [f"{percent(int(k)):.3g}" for k in rounds])
    ax.set_xlim(-0.3, last + 0.3)


def percent(round_: int) -> float:
    """Sparsity in percent after a number of rounds."""
    return 100 * (1 - 0.8**round_)


def legend(figure: Figure, labels: dict[str, str], looks: dict[str, Style], dense: bool = False) -> None:
    """Above the panels, where it covers no data."""
    handles = [
        Line2D([], [], color=looks[name].color, marker=looks[name].marker, markersize=5, label=short(label, 36))
        for name, label in labels.items()
    ]
    if dense:
        handles.append(Line2D([], [], color=DENSE, linewidth=1.2, linestyle=(0, (5, 3)), label="dense"))
    widest = max(len(str(handle.get_label())) for handle in handles)
    fitting = int(figure.get_figwidth() * 13) // (widest + 8)  # 13 letters to the inch; line and gap take 8
    shown = figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), max(fitting, 1)))
    for text in shown.get_texts():
        text.set_parse_math(False)


def short(name: str, most: int = 24) -> str:
    """A name that fits beside its panel."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def layer_panels(layers: pd.DataFrame, labels: dict[str, str]) -> Figure:
    """Sparsity of each layer, one panel per round.

    `layers` has seed, round, pruner, layer and sparsity, averaged over images.
    """
    rounds = sorted(layers["round"].unique())
    looks = styles(list(labels))
    with look():
        figure, axes = _grid(1, len(rounds), height=2.9)
        for ax, k in zip(axes[0], rounds, strict=True):
            panel = layers[layers["round"] == k].assign(percent=lambda frame: 100 * frame["sparsity"])
            ax.axhline(percent(int(k)), color=DENSE, linewidth=1, linestyle=(0, (1, 2)))
            lines(ax, panel, "layer", "percent", "pruner", list(labels), looks)
            ax.set_title(f"{percent(int(k)):.3g} % pruned")
            ax.set_xlabel("layer number")
            ax.set_ylim(-3, 103)
            ax.xaxis.get_major_locator().set_params(integer=True)
        axes[0, 0].set_ylabel("sparsity of the layer (%)")
        legend(figure, labels, looks)
    return figure


def stop_panels(rows: pd.DataFrame, picks: pd.Series) -> Figure:
    """Training loss and PSNR over the rounds of IMP: a row of panels per image, a mark above each seed's pick.

    `rows` has image, seed, round, loss and psnr_ema of one output; `picks` the round by image and seed, nan for none.
    """
    images = sorted(rows["image"].unique())
    imp = PRUNERS["imp"]
    with look():
        figure, axes = _grid(len(images), 2, height=2.3, share=False)
        for i, image in enumerate(images):
            shown = rows[rows["image"] == image].assign(pruner="imp")
            for ax, column in zip(axes[i], ("loss", "psnr_ema"), strict=True):
                lines(ax, shown, "round", column, "pruner", ["imp"], {"imp": imp})
                marked = shown[shown["seed"].map(picks[image]) == shown["round"]]
                ax.scatter(marked["round"], marked[column], marker="v", s=36, color="#d55e00", zorder=4)
                sparsity_axis(ax, int(rows["round"].max()))
                ax.set_xlabel("sparsity (%)" if i == len(images) - 1 else "")
            dense = shown.loc[shown["round"] == 0, "psnr_ema"].mean()
            axes[i, 1].axhline(dense, color=DENSE, linewidth=1.2, linestyle=(0, (5, 3)))
            axes[i, 0].set_ylabel(f"{short(image)}\ntraining loss", parse_math=False)
            axes[i, 1].set_ylabel("PSNR (dB)")
        legend(figure, {"imp": "IMP"}, {"imp": imp}, dense=True)
    return figure


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
    return buffer.getvalue()


def _grid(rows: int, columns: int, height: float, share: bool = True) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(max(3.2 * columns, 4.2), height * rows + 0.5))
    figure.set_layout_engine("constrained", w_pad=0.07, h_pad=0.06)
    axes = figure.subplots(rows, columns, sharex=True, sharey="row" if share else False, squeeze=False)
    return figure, axes
