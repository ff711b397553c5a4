"""Fig 7: where in the network does a pruner prune?"""

from __future__ import annotations

import pandas as pd
from scipy.stats import spearmanr

from analysis import paper
from analysis.claims import NEGATIVE, POSITIVE, Claim
from analysis.exhibits.curves import nearest_rounds
from analysis.exhibits.exhibit import Contents, Custom
from analysis.exhibits.rows import Rows, from_theta_0, native, pruned
from analysis.frames import Frames
from analysis.panels import layer_panels
from analysis.stats import Region
from analysis.style import assign_styles
from analysis.text import plural, pruner_labels, sparsity_range

NO_TREND = 0.3
"""A rank correlation within this of zero counts as flat: over 26 layers, chance alone has standard deviation 0.2."""


def _shown(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & from_theta_0(rows) & pruned(rows)


def _make(frames: Frames) -> Contents:
    """Show the sparsity of every layer at the measured rounds nearest to the paper's."""
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["round"].isin(nearest_rounds(fits["round"], paper.LAYER_ROUNDS))]
    layers = plain_layers(frames.only(fits))
    means = layers.groupby(["pruner", "round", "seed", "layer"])["sparsity"].mean().reset_index()
    labels = pruner_labels(fits["pruner"])
    return Contents(
        caption="Share of each layer's weights that is pruned, by layer number in module order; the dotted line is the"
        " whole network's share. Line: mean over seeds and images; band: one standard deviation over seeds."
        f" ρ: Spearman's rank correlation of a layer's sparsity with its number. {paper.LAYERS_RESERVATION}",
        frame=layer_table(layers, ["pruner", "round", "layer", "layer_name", "size"]),
        figure=layer_panels(means, labels, assign_styles(list(labels))),
        fits=fits,
        effects=trends(layers, ["pruner", "image", "seed", "round"]),
    )


def plain_layers(frames: Frames) -> pd.DataFrame:
    """Return the layers of fits with the dtypes that figures take."""
    return frames.layers.astype({"round": "int64", "seed": "int64", "size": "int64", "kept": "int64"})


def layer_table(layers: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return mean and standard deviation of each layer's sparsity, and over how many fits."""
    sparsity = layers.groupby(by)["sparsity"]
    return sparsity.agg(layer_sparsity="mean", layer_sparsity_std="std", fits="count").reset_index()


def trends(layers: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return Spearman's correlation `rho` of sparsity with layer number for every group."""
    return layers.groupby(by)[["layer", "sparsity"]].apply(trend).rename("rho").reset_index()


def trend(layers: pd.DataFrame) -> float:
    """Return Spearman's correlation; 0 if all layers are pruned alike, since there is no order to correlate."""
    if layers["sparsity"].nunique() == 1:
        return 0.0
    return float(spearmanr(layers["layer"], layers["sparsity"]).statistic)


def rounds_note(rows: pd.DataFrame) -> str:
    """Say how many rounds were judged, and at which sparsities."""
    return f"{plural(rows['round'].nunique(), 'round')} at {sparsity_range(rows['round'])}"


def _of(pruner: str) -> Rows:
    return lambda trends: trends["pruner"] == pruner


layers = Custom(
    name="layers",
    title="Where each pruner prunes (Fig. 7)",
    needed=_shown,
    needs="pruned fit",
    make=_make,
    claims=(
        Claim(
            id="layers_imp",
            statement="IMP prunes later layers more",
            paper="LIP keeps early layers and prunes late ones (Fig. 7)",
            statistic="Spearman's correlation of a layer's sparsity with its number, at every sparsity of the figure",
            region=POSITIVE,
            unit="ρ",
            value="rho",
            rows=_of("imp"),
            outputs=("masks",),
            note=rounds_note,
        ),
        Claim(
            id="layers_snip",
            statement="SNIP prunes earlier layers more",
            paper="SNIP keeps late layers and prunes early ones (Fig. 7)",
            statistic="Spearman's correlation of a layer's sparsity with its number, at every sparsity of the figure",
            region=NEGATIVE,
            unit="ρ",
            value="rho",
            rows=_of("snip"),
            outputs=("masks",),
            note=rounds_note,
        ),
        Claim(
            id="layers_random",
            statement="random pruning is flat over layers",
            paper="random pruning is flat over layers (Fig. 7)",
            statistic="Spearman's correlation of a layer's sparsity with its number, at every sparsity of the figure",
            region=Region(-NO_TREND, NO_TREND),
            unit="ρ",
            value="rho",
            rows=_of("random"),
            outputs=("masks",),
            note=rounds_note,
        ),
    ),
)
