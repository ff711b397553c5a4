"""Fig 7: where in the network does a pruner prune?"""

from __future__ import annotations

import pandas as pd
from scipy.stats import spearmanr

from analysis import paper
from analysis.exhibits.exhibit import (
    Absent,
    Exhibit,
    caption,
    gap,
    labels_of,
    lacking,
    native,
    plural,
    span,
    verdicts,
)
from analysis.frames import Frames
from analysis.plots import layer_panels, styles

NAME, TITLE = "layers", "Where each pruner prunes (Fig. 7)"


def layers(frames: Frames) -> Exhibit | Absent:
    """Sparsity of every layer at the measured rounds nearest to the paper's, for every pruner in the sweep."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _shown, "pruned fit"):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["round"].isin(nearest(fits["round"]))]
    every = plain(frames.only(fits).layers)
    over_images = every.groupby(["pruner", "round", "seed", "layer"])["sparsity"].mean().reset_index()
    each_fit = every.groupby(["pruner", "image", "seed", "round"])[["layer", "sparsity"]]
    trends = each_fit.apply(trend).rename("rho").reset_index()
    judged = []
    for pruner in ("imp", "snip", "random"):
        rows = trends[trends["pruner"] == pruner]
        note = f"{plural(rows['round'].nunique(), 'round')} at {span(rows['round'])}"
        judged += verdicts(frames, f"layers_{pruner}", rows, "rho", ["round", "image"], ["masks"], note)
    labels = labels_of(fits["pruner"])
    table = (
        every.groupby(["pruner", "round", "layer", "layer_name", "size"])["sparsity"]
        .agg(layer_sparsity="mean", layer_sparsity_std="std", fits="count")
        .reset_index()
    )
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "Share of each layer's weights that is pruned, by layer number in module order; the dotted line is the"
            " whole network's share. Line: mean over seeds and images; band: one standard deviation over seeds."
            f" ρ: Spearman's rank correlation of a layer's sparsity with its number. {paper.LAYERS_RESERVATION}",
        ),
        table,
        layer_panels(over_images, labels, styles(list(labels))),
        judged,
        gap=gap(frames),
    )


def plain(layers: pd.DataFrame) -> pd.DataFrame:
    """Layers with the dtypes that figures take."""
    return layers.astype({"round": "int64", "seed": "int64", "size": "int64", "kept": "int64"})


def cumulative(layers: pd.DataFrame, of: list[str]) -> pd.Series:
    """Sparsity by layer as the released script writes it: zeros over weights of all layers up to there.

    `layers` has size and kept in order of layers within the groups `of`.
    """
    totals = layers.groupby(of)[["size", "kept"]].cumsum()
    return 1 - totals["kept"] / totals["size"]


def nearest(measured: pd.Series) -> list[int]:
    """The measured rounds nearest to those of the paper's figure."""
    rounds = measured.unique()
    return sorted({int(min(rounds, key=lambda k: abs(k - wanted))) for wanted in paper.LAYER_ROUNDS})


def _shown(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & (rows["rewind"] == 0) & (rows["round"] > 0)


def trend(layers: pd.DataFrame) -> float:
    """Spearman's correlation; 0 where all layers are pruned alike, for then there is no order to correlate."""
    if layers["sparsity"].nunique() == 1:
        return 0.0
    return float(spearmanr(layers["layer"], layers["sparsity"]).statistic)
