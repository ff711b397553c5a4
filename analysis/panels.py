"""Figures: lines over sparsity, dots per category, curves over training, layers, and sheets of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from PIL import Image

from analysis.frames import FAULTS
from analysis.style import DASHED, DENSE_COLOR, PRUNER_STYLES, Style, assign_styles, style_context
from analysis.text import PRUNER_LABELS, percent, plural, shorten
from lip.errors import InputError
from lip.ledger.schema import AXES, OUTPUTS

MAX_PIXELS = 256
"""Longest side of a picture in a sheet; larger ones are reduced to keep the page small."""
PSNR_AXIS_DB = 4.0
"""PSNR axes end this many dB below the dense prior, so that a collapsed network does not flatten all other lines."""

SQUASHED = 0.5
"""Panels share a y range unless the range of one is a smaller share of it."""

AXIS_LABELS = {"round": "sparsity (%)", "kept_parameters": "kept parameters", "percent": "sparsity (%)"}


def psnr_panels(
    scores: pd.DataFrame,
    line: str,
    labels: Mapping[str, str],
    styles: Mapping[str, Style],
    panel: str = "image",
    x: str = "round",
    marks: pd.DataFrame | None = None,
) -> Figure:
    """Draw PSNR over sparsity or size: a row of panels per image, a column per reported output.

    `scores` has seed, round, output, psnr, FAULTS, a column `panel`, a column `line` with the keys of `labels`, and
    `x`: round, kept_parameters or percent. The dense prior is that of the first line that has one. `marks` are fits of
    another prior, drawn at their size, with its name in `line`.
    """
    panels = sorted(scores[panel].unique())
    unpruned = scores[scores["round"] == 0].sort_values(line, key=lambda names: names.map(list(labels).index))
    dense = unpruned.drop_duplicates([panel, "seed", "output"]).groupby([panel, "output"])["psnr"].mean()
    with style_context():
        figure, axes = panel_grid(len(panels), len(OUTPUTS), height=2.3, share=False)
        for i, name in enumerate(panels):
            in_panel = scores[scores[panel] == name]
            floor = in_panel.loc[in_panel["round"] == 0, "psnr"].min() - PSNR_AXIS_DB
            for j, (output, title) in enumerate(OUTPUTS.items()):
                ax = axes[i, j]
                rows = in_panel[in_panel["output"] == output]
                if (name, output) in dense.index:
                    dense_line(ax, float(dense.loc[(name, output)]))
                draw_lines(ax, rows, x, "psnr", line, list(labels), styles)
                _cross_out(ax, rows[rows[list(FAULTS)].any(axis="columns")], x, line, styles, floor)
                if marks is not None:
                    _mark(ax, marks[(marks[panel] == name) & (marks["output"] == output)], line, styles)
                if x == "round":
                    sparsity_axis(ax, int(scores["round"].max()))
                elif x == "kept_parameters":
                    log_axis(ax)
                ax.set_title(title if i == 0 else "")
                ax.set_xlabel(AXIS_LABELS[x] if i == len(panels) - 1 else "")
                if rows["psnr"].min() < floor:
                    ax.set_ylim(bottom=floor)
            axes[i, 0].set_ylabel(f"{shorten(name)}\nPSNR (dB)", parse_math=False)
            share_range(axes[i])
        marked = {} if marks is None else {str(key): str(key) for key in marks[line].unique()}
        legend(figure, {**labels, **marked}, styles, seeds=scores["seed"].nunique(), dense=True)
    return figure


def _cross_out(ax: Axes, failed: pd.DataFrame, x: str, line: str, styles: Mapping[str, Style], floor: float) -> None:
    ax.scatter(
        failed[x],
        failed["psnr"].clip(lower=floor),
        marker="x",
        s=22,
        linewidths=1.1,
        color=[styles[key].color for key in failed[line]],
        zorder=4,
        clip_on=False,
    )


def _mark(ax: Axes, rows: pd.DataFrame, line: str, styles: Mapping[str, Style]) -> None:
    for name, part in rows.groupby(line):
        style = styles[str(name)]
        mean, deviation = part["psnr"].mean(), part["psnr"].std() if len(part) > 1 else 0
        size = part["kept_parameters"].mean()
        ax.errorbar(size, mean, deviation, color=style.color, marker=style.marker, markersize=6, capsize=2, zorder=5)


def plot(fits: pd.DataFrame, value: str = "psnr_peak_ema", line: str = "pruner") -> Figure:
    """Draw a column of fits over sparsity, a line per value of another column.

    Line: mean over seeds; band: one standard deviation. Raises InputError if a line has several fits of a seed and
    round, which would be averaged: select one image and task, own masks (`source_image == image`) and one `rewind`.
    """
    if fits.duplicated(["seed", "round", line]).any():
        different = [axis for axis in AXES if axis not in ("seed", "round", line) and fits[axis].nunique() > 1]
        raise InputError(
            f"a line of {line} would average over {' and '.join(different)}; select the rows of one of each"
        )
    rows = fits[fits["round"].notna()].astype({"seed": "int64", "round": "int64"})
    rows = rows.assign(**{line: rows[line].astype("str")})
    labels = {name: PRUNER_LABELS.get(name, name) for name in sorted(rows[line].unique())}
    styles = assign_styles(list(labels))
    with style_context():
        figure, axes = panel_grid(1, 1, height=2.8)
        draw_lines(axes[0, 0], rows, "round", value, line, list(labels), styles)
        sparsity_axis(axes[0, 0], int(rows["round"].max()))
        axes[0, 0].set_xlabel(AXIS_LABELS["round"])
        axes[0, 0].set_ylabel(value)
        legend(figure, labels, styles, seeds=rows["seed"].nunique())
    return figure


def dot_panels(
    rows: pd.DataFrame,
    category: str,
    line: str,
    labels: Mapping[str, str],
    styles: Mapping[str, Style],
    value: str = "psnr",
    text: str = "PSNR (dB)",
    zero: bool = False,
) -> Figure:
    """Draw a value per category as dots, mean and standard deviation over seeds, a panel per reported output.

    `rows` has seed, output, the columns `category` and `line` (with the keys of `labels`) and the value. `zero` draws a
    line at zero.
    """
    categories = list(dict.fromkeys(rows[category]))[::-1]
    with style_context():
        figure, axes = panel_grid(1, len(OUTPUTS), height=max(0.34, 0.14 * len(labels)) * len(categories) + 0.9)
        for ax, (output, title) in zip(axes[0], OUTPUTS.items(), strict=True):
            panel = rows[rows["output"] == output].dropna(subset=[value])
            if zero:
                ax.axvline(0, color=DENSE_COLOR, linewidth=1, linestyle=DASHED)
            for j, key in enumerate(labels):
                groups = panel[panel[line] == key].groupby(category)[value]
                mean, deviation = groups.mean(), groups.std().fillna(0)
                heights = [categories.index(name) + 0.16 * ((len(labels) - 1) / 2 - j) for name in mean.index]
                ax.errorbar(
                    mean,
                    heights,
                    xerr=deviation,
                    color=styles[key].color,
                    marker=styles[key].marker,
                    markersize=5,
                    linestyle="",
                    capsize=2,
                )
            ax.set_yticks(range(len(categories)), [shorten(name, 30) for name in categories], parse_math=False)
            ax.set_ylim(-0.6, len(categories) - 0.4)
            ax.set_title(title)
            ax.set_xlabel(text)
        legend(figure, labels, styles, seeds=rows["seed"].nunique())
    return figure


def curve_panels(
    rows: pd.DataFrame,
    titles: Mapping[Any, str],
    values: Mapping[str, str],
    labels: Mapping[str, str],
    styles: Mapping[str, Style],
    log: bool = False,
) -> Figure:
    """Draw values over training steps: a column of panels per key of `titles` (in `panel`), a row per value.

    `rows` has panel, pruner, seed, step and the columns named by `values`, whose texts label the axes.
    """
    with style_context():
        figure, axes = panel_grid(len(values), len(titles), height=2.4)
        for i, (value, text) in enumerate(values.items()):
            for ax, (key, title) in zip(axes[i], titles.items(), strict=True):
                draw_lines(ax, rows[rows["panel"] == key], "step", value, "pruner", list(labels), styles, mark_every=8)
                log_axis(ax)
                if log:
                    ax.set_yscale("log")
                ax.set_title(title if i == 0 else "")
                ax.set_xlabel("step" if i == len(values) - 1 else "")
            axes[i, 0].set_ylabel(text)
        legend(figure, labels, styles, seeds=rows["seed"].nunique())
    return figure


def layer_panels(layers: pd.DataFrame, labels: Mapping[str, str], styles: Mapping[str, Style]) -> Figure:
    """Draw the sparsity of each layer, one panel per round.

    `layers` has seed, round, pruner, layer and sparsity, averaged over images.
    """
    rounds = sorted(layers["round"].unique())
    with style_context():
        figure, axes = panel_grid(1, len(rounds), height=2.9)
        for ax, k in zip(axes[0], rounds, strict=True):
            panel = layers[layers["round"] == k].assign(percent=lambda frame: 100 * frame["sparsity"])
            ax.axhline(percent(int(k)), color=DENSE_COLOR, linewidth=1, linestyle=(0, (1, 2)))
            draw_lines(ax, panel, "layer", "percent", "pruner", list(labels), styles)
            ax.set_title(f"{percent(int(k)):.3g} % pruned")
            ax.set_xlabel("layer number")
            ax.set_ylim(-3, 103)
            ax.xaxis.get_major_locator().set_params(integer=True)
        axes[0, 0].set_ylabel("sparsity of the layer (%)")
        legend(figure, labels, styles, seeds=layers["seed"].nunique())
    return figure


def overlap_panels(pairs: pd.DataFrame, lines: Sequence[str]) -> Figure:
    """Draw the share of weights that two masks have in common over sparsity, and how far it goes beyond chance.

    `pairs` has seed, round, line, and percentages: shared, chance, beyond_chance.
    """
    styles = assign_styles(lines)
    with style_context():
        figure, axes = panel_grid(1, 2, height=2.9, share=False)
        for ax, value, text in zip(
            axes[0], ("shared", "beyond_chance"), ("kept by both (%)", "beyond chance (points)"), strict=True
        ):
            draw_lines(ax, pairs, "round", value, "line", list(lines), styles)
            sparsity_axis(ax, int(pairs["round"].max()))
            ax.set_xlabel(AXIS_LABELS["round"])
            ax.set_ylabel(text)
        chance = pairs.groupby("round")["chance"].mean()
        axes[0, 0].plot(chance.index, chance, color=DENSE_COLOR, linewidth=1.2, linestyle=DASHED)
        axes[0, 0].set_ylim(0, 103)
        axes[0, 1].axhline(0, color=DENSE_COLOR, linewidth=1.2, linestyle=DASHED)
        legend(figure, {line: line for line in lines}, styles, seeds=pairs["seed"].nunique())
    return figure


def stop_panels(rows: pd.DataFrame, picks: pd.Series) -> Figure:
    """Draw loss and PSNR over the rounds of IMP, a row of panels per task and image; mark each seed's pick.

    `rows` has panel, seed, round, loss and psnr of one output; `picks` the round by panel and seed, nan for none.
    """
    panels = sorted(rows["panel"].unique())
    imp = {"imp": PRUNER_STYLES["imp"]}
    with style_context():
        figure, axes = panel_grid(len(panels), 2, height=2.3, share=False)
        for i, name in enumerate(panels):
            in_panel = rows[rows["panel"] == name].assign(pruner="imp")
            for ax, column in zip(axes[i], ("loss", "psnr"), strict=True):
                draw_lines(ax, in_panel, "round", column, "pruner", ["imp"], imp)
                marked = in_panel[in_panel["seed"].map(picks[name]) == in_panel["round"]]
                ax.scatter(marked["round"], marked[column], marker="v", s=36, color="#d55e00", zorder=4)
                sparsity_axis(ax, int(rows["round"].max()))
                ax.set_xlabel("sparsity (%)" if i == len(panels) - 1 else "")
            dense_line(axes[i, 1], in_panel.loc[in_panel["round"] == 0, "psnr"].mean())
            axes[i, 0].set_ylabel(f"{shorten(name)}\ntraining loss", parse_math=False)
            axes[i, 1].set_ylabel("PSNR (dB)")
        legend(figure, {"imp": "IMP"}, imp, seeds=rows["seed"].nunique(), dense=True)
    return figure


@dataclass(frozen=True)
class Tile:
    """A picture of a sheet: pixels, uint8 (height, width, channels), or values of a map, and a title."""

    pixels: np.ndarray
    title: str = ""
    colors: str = "gray"
    """Colour map of a map of values."""
    limits: tuple[float | None, float | None] = (None, None)
    """Values at the ends of the colour map; None for the extremes of the map."""


def picture_sheet(rows: Sequence[Sequence[Tile | None]], names: list[str], inches: float = 1.45) -> Figure:
    """Draw pictures in rows, each row with a name; pictures above MAX_PIXELS are reduced."""
    columns = max(map(len, rows))
    with style_context():
        figure = Figure(figsize=(max(inches * columns, 4.2) + 0.6, (inches + 0.3) * len(rows)))
        figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.03)
        axes = figure.subplots(len(rows), columns, squeeze=False)
        for tiles, name, row in zip(rows, names, axes, strict=True):
            for ax, tile in zip(row, [*tiles, *[None] * (columns - len(tiles))], strict=True):
                ax.set_axis_off()
                if tile is not None:
                    low, high = tile.limits
                    ax.imshow(_reduced(tile.pixels), cmap=tile.colors, vmin=low, vmax=high, interpolation="nearest")
                    ax.set_title(tile.title, fontsize=7, parse_math=False)
            row[0].set_axis_on()
            row[0].grid(False)
            row[0].set_xticks([])
            row[0].set_yticks([])
            row[0].spines[:].set_visible(False)
            row[0].set_ylabel(name, fontsize=8, parse_math=False)
    return figure


def _reduced(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype != np.uint8 or max(pixels.shape[:2]) <= MAX_PIXELS:
        return pixels
    picture = Image.fromarray(pixels.squeeze())
    picture.thumbnail((MAX_PIXELS, MAX_PIXELS), Image.Resampling.LANCZOS)
    return np.atleast_3d(np.asarray(picture))


def panel_grid(rows: int, columns: int, height: float, share: bool = True) -> tuple[Figure, np.ndarray]:
    """Make a figure of panels that share x, and if `share` also y within a row; `height` in inches per row."""
    figure = Figure(figsize=(max(3.2 * columns, 4.2), height * rows + 0.5))
    figure.set_layout_engine("constrained", w_pad=0.07, h_pad=0.06)
    axes = figure.subplots(rows, columns, sharex=True, sharey="row" if share else False, squeeze=False)
    return figure, axes


def share_range(row: Sequence[Axes]) -> None:
    """Give the panels of a row one y range, unless that would squash what one of them shows."""
    limits = [ax.get_ylim() for ax in row]
    low, high = min(bottom for bottom, _ in limits), max(top for _, top in limits)
    if all(top - bottom >= SQUASHED * (high - low) for bottom, top in limits):
        for ax in row:
            ax.set_ylim(low, high)
        for ax in row[1:]:
            ax.tick_params("y", labelleft=False)


def draw_lines(
    ax: Axes,
    data: pd.DataFrame,
    x: str,
    y: str,
    line: str,
    order: list[str],
    styles: Mapping[str, Style],
    mark_every: int = 1,
) -> None:
    """Draw the mean over seeds as a line and one standard deviation as a band (none with one seed)."""
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
        palette={name: styles[name].color for name in order},
        markers={name: styles[name].marker for name in order},
        dashes=False,
        errorbar="sd",
        err_kws={"alpha": 0.16, "linewidth": 0},
        linewidth=1.5,
        markersize=4,
        markeredgewidth=0.5,
        markevery=mark_every,
        legend=False,
        ax=ax,
    )
    ax.set(xlabel="", ylabel="")  # seaborn names its columns there


def dense_line(ax: Axes, value: float) -> None:
    """Draw the dense prior's value as a dashed line."""
    ax.axhline(value, color=DENSE_COLOR, linewidth=1.2, linestyle=DASHED)


def log_axis(ax: Axes) -> None:
    """Make the x axis logarithmic, with a few labels in thousands and millions."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 10 * low else (1, 2, 3, 4, 6), numticks=8))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.tick_params("x", labelsize=7)


def sparsity_axis(ax: Axes, last: int) -> None:
    """Place rounds at equal distances and label them with their sparsity, as the paper does."""
    step = -(-last // 8) or 1
    rounds = np.arange(0, last + 1, step)
    ax.set_xticks(rounds, [f"{percent(int(k)):.3g}" for k in rounds])
    ax.set_xlim(-0.3, last + 0.3)


def legend(
    figure: Figure, labels: Mapping[str, str], styles: Mapping[str, Style], seeds: int, dense: bool = False
) -> None:
    """Put a legend above the panels, where it covers no data; with n, since a figure may lose its caption."""
    handles = [
        Line2D([], [], color=styles[name].color, marker=styles[name].marker, markersize=5, label=shorten(label, 36))
        for name, label in labels.items()
    ]
    if dense:
        handles.append(Line2D([], [], color=DENSE_COLOR, linewidth=1.2, linestyle=DASHED, label="dense"))
    handles.append(Line2D([], [], linestyle="", label=f"n = {plural(seeds, 'seed')}"))
    widest = max(len(str(handle.get_label())) for handle in handles)
    fitting = max(int(figure.get_figwidth() * 13) // (widest + 8), 1)  # 13 letters to the inch; line and gap take 8
    rows = -(-len(handles) // fitting)
    box = figure.legend(handles=handles, loc="outside upper center", ncols=-(-len(handles) // rows))
    for text in box.get_texts():
        text.set_parse_math(False)
