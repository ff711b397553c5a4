"""Beyond the paper: what the released script writes as layer ratios, whose accumulators are never reset."""

from __future__ import annotations

import pandas as pd

from analysis.exhibits.exhibit import Absent, Exhibit, caption, gap, lacking, span, verdicts
from analysis.exhibits.layers import cumulative, nearest, plain, trend
from analysis.frames import Frames
from analysis.plots import PRUNERS, Style, layer_panels

NAME, TITLE = "script", "What the released layer-ratio script shows (beyond the paper)"
MASKS = {"": "all layers masked", "unmasked_first": "two layers skipped"}
LOOKS = {
    "all layers masked, per layer": PRUNERS["imp"],
    "all layers masked, added up": Style("#56b4e9", "<"),
    "two layers skipped, per layer": Style("#d55e00", "X"),
    "two layers skipped, added up": Style("#de8f05", "^"),
}


def script(frames: Frames) -> Exhibit | Absent:
    """Layer ratios of IMP's masks per layer and as the released script adds them up, as it masks and as it should."""
    frames = frames.part("compat")
    if absent := lacking(frames, "compat", TITLE, _skipping, "IMP ticket that skips two layers, as released"):
        return absent
    fits = frames.fits[_imp(frames.fits)]
    fits = fits[fits["round"].isin(nearest(fits["round"]))]
    layers = plain(frames.only(fits).layers).sort_values(["row", "layer"], ignore_index=True)
    layers["masks"] = layers["compat"].map(MASKS)
    long = pd.concat(
        [
            layers.assign(ratio="per layer"),
            layers.assign(ratio="added up", sparsity=cumulative(layers, ["row"])),
        ]
    )
    long["pruner"] = long["masks"] + ", " + long["ratio"]
    each_fit = long[(long["ratio"] == "added up") & (long["compat"] == "unmasked_first")]
    rho = each_fit.groupby(["image", "seed", "round"])[["layer", "sparsity"]].apply(trend).rename("rho").reset_index()
    means = long.groupby(["pruner", "round", "seed", "layer"])["sparsity"].mean().reset_index()
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "Pruned share by layer of IMP's masks: of each layer alone, as the paper's Fig. 7 says, and of all layers"
            " up to it, as the released script writes it; once for masks of all layers, once for masks that skip the"
            " first two convolutions, as released. The released figure is the last of the four.",
        ),
        long.groupby(["masks", "ratio", "round", "layer", "layer_name"])["sparsity"].mean().reset_index(),
        layer_panels(means, {name: name for name in LOOKS if name in set(means["pruner"])}, LOOKS),
        verdicts(frames, "compat_script", rho, "rho", ["image", "round"], ["masks"], f"at {span(rho['round'])}"),
        gap=gap(frames),
    )


def _imp(rows: pd.DataFrame) -> pd.Series:
    own = (rows["source_image"] == rows["image"]) & (rows["task"] == "denoise") & (rows["source_task"] == "denoise")
    known = rows["compat"].isin(list(MASKS)) & (rows["pruner"] == "imp") & (rows["rewind"] == 0)
    return own & known & (rows["round"] > 0).fillna(False)


def _skipping(rows: pd.DataFrame) -> pd.Series:
    return _imp(rows) & (rows["compat"] == "unmasked_first")
