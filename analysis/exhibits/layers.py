"""Fig 7: where in the network does a pruner prune?"""

from __future__ import annotations

import pandas as pd
from scipy.stats import spearmanr

from analysis import paper
from analysis.exhibits.exhibit import LABELS, Absent, Exhibit, caption, lacking, native, plural, span
from analysis.exhibits.scores import blocks
from analysis.frames import Frames
from analysis.plots import layer_panels
from analysis.stats import NEGATIVE, POSITIVE, Region, judge

NAME, TITLE = "layers", "Where each pruner prunes"
NO_TREND = 0.3
"""A rank correlation within this of zero counts as flat: over 26 layers, chance alone has standard deviation 0.2."""

_EXPECTED = {
    "imp": ("IMP prunes later layers more", paper.LAYERS_IMP, POSITIVE),
    "snip": ("SNIP prunes earlier layers more", paper.LAYERS_SNIP, NEGATIVE),
    "random": (f"random pruning is flat (|ρ| ≤ {NO_TREND})", paper.LAYERS_RANDOM, Region(-NO_TREND, NO_TREND)),
}


def layers(frames: Frames) -> Exhibit | Absent:
    """Sparsity of every layer at the measured rounds nearest to the paper's, for every pruner in the sweep."""
    if gap := lacking(frames, NAME, TITLE, _shown, "pruned fit"):
        return gap
    fits = frames.fits[_shown(frames.fits)]
    rounds = _nearest(sorted(fits["round"].unique()))
    fits = fits[fits["round"].isin(rounds)]
    every = frames.layers[frames.layers["row"].isin(fits.index)]
    over_images = every.groupby(["pruner", "round", "seed", "layer"])["sparsity"].mean().reset_index()
    each_fit = every.groupby(["pruner", "image", "seed", "round"])[["layer", "sparsity"]]
    trends = each_fit.apply(_trend).rename("rho").reset_index()
    labels = {name: LABELS.get(name, name) for name in sorted(fits["pruner"].unique())}
    claims = []
    for pruner, (claim, said, region) in _EXPECTED.items():
        if pruner in labels:
            rows = trends[trends["pruner"] == pruner]
            effects = blocks(rows, "rho", ["round", "image"])
            note = f"{plural(rows['round'].nunique(), 'round')} at {span(rows['round'])}"
            claims.append(judge(claim, said, "masks", effects, region, note, unit="ρ"))
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
        layer_panels(over_images, labels),
        claims,
    )


def _shown(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & (rows["rewind"] == 0) & (rows["round"] > 0)


def _nearest(measured: list[int]) -> list[int]:
    return sorted({min(measured, key=lambda k: abs(k - wanted)) for wanted in paper.LAYER_ROUNDS})


def _trend(layers: pd.DataFrame) -> float:
    """Spearman's correlation; 0 where all layers are pruned alike, for then there is no order to correlate."""
    if layers["sparsity"].nunique() == 1:
        return 0.0
    return float(spearmanr(layers["layer"], layers["sparsity"]).statistic)
