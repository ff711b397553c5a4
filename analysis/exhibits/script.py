"""Beyond the paper: layer ratios as the released script prints them, whose sums are never reset."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import POSITIVE, Claim
from analysis.exhibits.curves import nearest_rounds
from analysis.exhibits.exhibit import Contents, Custom
from analysis.exhibits.layers import plain_layers, trends
from analysis.exhibits.rows import from_theta_0, imp, own_image, own_task, pruned
from analysis.frames import Frames
from analysis.panels import layer_panels
from analysis.style import PRUNER_STYLES, SKY, Style

MASKS = {"": "all layers masked", "unmasked_first": "two layers skipped"}
STYLES = {
    "all layers masked, per layer": PRUNER_STYLES["imp"],
    "all layers masked, added up": SKY,
    "two layers skipped, per layer": Style("#d55e00", "X"),
    "two layers skipped, added up": Style("#de8f05", "^"),
}


def _shown(rows: pd.DataFrame) -> pd.Series:
    own = own_image(rows) & own_task(rows) & (rows["task"] == "denoise")
    return own & rows["compat"].isin(list(MASKS)) & imp(rows) & from_theta_0(rows) & pruned(rows)


def _make(frames: Frames) -> Contents:
    """Show layer ratios per layer and as the released script sums them."""
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["round"].isin(nearest_rounds(fits["round"], paper.LAYER_ROUNDS))]
    layers = plain_layers(frames.only(fits)).sort_values(["row", "layer"], ignore_index=True)
    layers["masks"] = layers["compat"].map(MASKS)
    added_up = layers.assign(ratio="added up", sparsity=cumulative_sparsity(layers, ["row"]))
    long = pd.concat([layers.assign(ratio="per layer"), added_up])
    long["pruner"] = long["masks"] + ", " + long["ratio"]
    means = long.groupby(["pruner", "round", "seed", "layer"])["sparsity"].mean().reset_index()
    released = added_up[added_up["compat"] == "unmasked_first"]
    return Contents(
        caption="Pruned share by layer of IMP's masks: of each layer alone, as the paper's Fig. 7 says, and of all"
        " layers up to it, as the released script prints it; once for masks of all layers, once for masks that skip the"
        " first two convolutions, as released. The released figure is the last of the four.",
        frame=long.groupby(["masks", "ratio", "round", "layer", "layer_name"])["sparsity"].mean().reset_index(),
        figure=layer_panels(means, {name: name for name in STYLES if name in set(means["pruner"])}, STYLES),
        fits=fits,
        effects=trends(released, ["image", "seed", "round"]),
    )


def cumulative_sparsity(layers: pd.DataFrame, by: list[str]) -> pd.Series:
    """Return sparsity by layer as the released script prints it: of all layers up to there.

    `layers` has size and kept in order of layers within the groups `by`.
    """
    totals = layers.groupby(by)[["size", "kept"]].cumsum()
    return 1 - totals["kept"] / totals["size"]


script = Custom(
    name="script",
    title="What the released layer-ratio script shows (beyond the paper)",
    needed=lambda rows: _shown(rows) & (rows["compat"] == "unmasked_first"),
    needs="IMP ticket that skips two layers, as released",
    experiment="compat",
    make=_make,
    claims=(
        Claim(
            id="compat_script",
            statement="summed over layers, IMP's masks seem to prune later layers more",
            paper="not in the paper; its script sums zeros and weights over layers, the figure says per layer",
            statistic="Spearman's correlation of the summed ratio with the layer's number, two layers skipped as"
            " released",
            region=POSITIVE,
            unit="ρ",
            value="rho",
            cells=("image", "round"),
            outputs=("masks",),
        ),
    ),
)
