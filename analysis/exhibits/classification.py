"""Fig 6 and 7 (c, f): do tickets of restoration serve classification, or those of classifiers restoration?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.exhibits.exhibit import Absent, Exhibit, as_in_paper, caption, gap, lacking, plural, span, verdicts
from analysis.exhibits.layers import nearest, plain
from analysis.exhibits.scores import FAULT_COUNTS, PLAIN, minus, published
from analysis.frames import FAULTS, Frames
from analysis.plots import (
    AXIS_LABELS,
    DENSE,
    OUTPUTS,
    PRUNERS,
    Style,
    grid,
    layer_panels,
    legend,
    lines,
    look,
    short,
    sparsity_axis,
    styles,
)
from lip.ledger.schema import AXES

NAME, TITLE = "classification", "Masks between restoration and classification (Fig. 6)"
LAYERS_NAME, LAYERS_TITLE = "classifier_layers", "Where tickets of a classifier are pruned (Fig. 7 c, f)"
OWN, RANDOM, OTHER, SHUFFLED = "own tickets", "random", "tickets of the other", "shuffled"
LOOKS = {
    OWN: PRUNERS["imp"],
    RANDOM: PRUNERS["random"],
    OTHER: Style("#cc78bc", "D"),
    SHUFFLED: Style("#ca9161", "v"),
}
LABELS = {
    OWN: OWN,
    RANDOM: "random pruning",
    OTHER: "tickets of the other task",
    SHUFFLED: "these, shuffled in each layer",
}
MEASURES = {"classify": "accuracy (%)", "denoise": "PSNR (dB)"}
ACCURACIES = ("peak", "last")
"""The outputs that a classification has: the best of all epochs and the last."""


def classification(frames: Frames) -> Exhibit | Absent:
    """Accuracy on data sets and PSNR on images over sparsity: own tickets, random ones, and those of the other task."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _transferred, "ticket taken over between denoising and classification"):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["image"].isin(fits.loc[_transferred(fits), "image"])]
    every = _scores(fits)
    at = ["task", "image", "seed", "round", "output"]
    for other in (OWN, RANDOM, SHUFFLED):
        every[f"minus {other}"] = minus(every, every[every["masks"] == other], at, "value")
    taken = every[(every["masks"] == OTHER) & (every["round"] > 0)]
    judged = []
    for task, outputs in (("classify", ACCURACIES), ("denoise", tuple(OUTPUTS))):
        rows = taken[taken["task"] == task]
        for other, claim in ((OWN, f"to_{task}"), (SHUFFLED, f"to_{task}_shuffled")):
            judged += verdicts(frames, claim, rows, f"minus {other}", ["image", "round"], outputs, _at(rows))
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "Accuracy on the test pictures, or PSNR of the averaged output, over sparsity. Line: mean over seeds; band:"
            " one standard deviation; the dashed line is the dense net. Masks from the other task leave whole the"
            " layers that their own net does not have (the two convolutions that see code or pictures, and the output"
            " convolution), so their true sparsity, in the table, is lower; shuffled ones have the same in every layer."
            " There too: Wilson's 95 % interval of an accuracy, from the number of test pictures.",
        ),
        _summary(every),
        _figure(every),
        judged,
        gap=gap(frames),
    )


def classifier_layers(frames: Frames) -> Exhibit | Absent:
    """Sparsity of every layer in the classifier's own tickets."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, LAYERS_TITLE, _tickets, "ticket of a classifier"):
        return absent
    fits = frames.fits[_tickets(frames.fits)]
    fits = fits[fits["round"].isin(nearest(fits["round"]))]
    every = plain(frames.only(fits).layers)
    every["middle"] = _middle(every["layer"], every["layer"].max() + 1)
    cell = ["image", "seed", "round"]
    parts = every.groupby([*cell, "middle"])["sparsity"].mean().unstack()
    effects = (100 * (parts[True] - parts[False])).rename("difference").reset_index()
    judged = verdicts(frames, "classifier_layers", effects, "difference", ["image", "round"], ["masks"], _at(fits))
    by_layer = every.groupby(["pruner", "round", "seed", "layer"])["sparsity"].mean().reset_index()
    table = (
        every.groupby(["image", "round", "layer", "layer_name", "size"])["sparsity"]
        .agg(layer_sparsity="mean", layer_sparsity_std="std", fits="count")
        .reset_index()
    )
    labels = {"imp": "IMP on classification"}
    return Exhibit(
        LAYERS_NAME,
        LAYERS_TITLE,
        caption(
            frames,
            fits,
            "Share of each layer's weights that is pruned in tickets of the classifier, by layer number in module"
            " order; the dotted line: of the whole network. Line: mean over seeds; band: their standard deviation.",
        ),
        table,
        layer_panels(by_layer, labels, styles(list(labels))),
        judged,
        gap=gap(frames),
    )


def _at(rows: pd.DataFrame) -> str:
    return f"{plural(rows['round'].nunique(), 'round')} at {span(rows['round'])}"


def _middle(layer: pd.Series, count: int) -> pd.Series:
    """Marks the middle third of the layers."""
    return (layer >= count / 3) & (layer < 2 * count / 3)


def _shown(rows: pd.DataFrame) -> pd.Series:
    """Marks rounds of denoising and classification, with masks of their own, random ones, or the other's."""
    same = rows["source_task"] == rows["task"]
    known = rows["task"].isin(list(MEASURES)) & rows["source_task"].isin(list(MEASURES))
    own = rows["pruner"].isin(["imp", "random"]) & same & (rows["source_image"] == rows["image"])
    return (
        as_in_paper(rows) & known & (rows["rewind"] == 0) & (own | (~same & rows["pruner"].isin(["imp", "shuffled"])))
    )


def _transferred(rows: pd.DataFrame) -> pd.Series:
    return _shown(rows) & (rows["source_task"] != rows["task"]) & (rows["pruner"] == "imp") & (rows["round"] > 0)


def _tickets(rows: pd.DataFrame) -> pd.Series:
    native = (rows["source_task"] == rows["task"]) & (rows["pruner"] == "imp") & (rows["round"] > 0)
    return _shown(rows) & (rows["task"] == "classify") & native


def _scores(fits: pd.DataFrame) -> pd.DataFrame:
    """One row per fit and reported output: the axes, masks, sparsity, and `value`, accuracy in % or PSNR in dB."""
    common = fits[["fit", *AXES, "sparsity", "kept_parameters", *FAULTS, "test_images"]].astype(PLAIN)
    own = common["source_task"] == common["task"]
    from_elsewhere = common["pruner"].map({"imp": OTHER, "shuffled": SHUFFLED})
    common["masks"] = common["pruner"].map({"imp": OWN, "random": RANDOM}).where(own, from_elsewhere)
    accuracy = {output: 100 * fits[f"accuracy_{output}"] for output in ACCURACIES}
    long = pd.concat(
        [
            common.assign(output=output, value=published(fits, output).fillna(accuracy.get(output, np.nan)))
            for output in OUTPUTS
        ],
        ignore_index=True,
    )
    return long[np.isfinite(long["value"])]


def _summary(every: pd.DataFrame) -> pd.DataFrame:
    by = ["task", "image", "masks", "round", "output"]
    table = (
        every.groupby(by, sort=False)
        .agg(
            sparsity=("sparsity", "mean"),
            seeds=("seed", "nunique"),
            test_images=("test_images", "first"),
            value=("value", "mean"),
            value_std=("value", "std"),
            minus_own=(f"minus {OWN}", "mean"),
            minus_random=(f"minus {RANDOM}", "mean"),
            minus_shuffled=(f"minus {SHUFFLED}", "mean"),
            **FAULT_COUNTS,
        )
        .reset_index()
    )
    low, high = _wilson(table["value"] / 100, table["test_images"].astype("float64"))
    return table.assign(value_low=100 * low, value_high=100 * high, measure=table["task"].map(MEASURES))


def _wilson(share: pd.Series, of: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Wilson's 95 % interval of a share; the plain one has no width at 0 and 1."""
    z = 1.96**2 / of
    half = np.sqrt(z * share * (1 - share) + z**2 / 4)
    return (share + z / 2 - half) / (1 + z), (share + z / 2 + half) / (1 + z)


def _figure(every: pd.DataFrame) -> Figure:
    panels = every[["task", "image"]].drop_duplicates().sort_values(["task", "image"])
    dense = every[every["round"] == 0].groupby(["task", "image", "output"])["value"].mean()
    with look():
        figure, axes = grid(len(panels), len(ACCURACIES), height=2.3)
        for i, (task, image) in enumerate(panels.itertuples(index=False)):
            for ax, output in zip(axes[i], ACCURACIES, strict=True):
                rows = every[(every["task"] == task) & (every["image"] == image) & (every["output"] == output)]
                if (task, image, output) in dense.index:
                    ax.axhline(dense.loc[(task, image, output)], color=DENSE, linewidth=1.2, linestyle=(0, (5, 3)))
                lines(ax, rows, "round", "value", "masks", list(LABELS), LOOKS)
                sparsity_axis(ax, int(every["round"].max()))
                ax.set_title(OUTPUTS[output] if i == 0 else "")
                ax.set_xlabel(AXIS_LABELS["round"] if i == len(panels) - 1 else "")
            axes[i, 0].set_ylabel(f"{short(image)}\n{MEASURES[task]}", parse_math=False)
        legend(figure, LABELS, LOOKS, seeds=every["seed"].nunique(), dense=True)
    return figure
