"""Fig 10: how readily a prior takes up an image, and how reluctantly noise."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.exhibits.exhibit import Absent, Exhibit, caption, gap, lacking, verdicts
from analysis.exhibits.scores import minus
from analysis.frames import Frames
from analysis.plots import PRUNERS, Style, curve_panels

NAME, TITLE = "impedance", "Impedance to noise and to signal (Fig. 10)"
TARGETS = {
    "clean": "clean image",
    "noisy": "image with noise",
    "shuffled": "shuffled pixels",
    "noise": "white noise",
}
CLAIMED = {
    "impedance_noise": ("imp", ["shuffled", "noise"]),
    "impedance_signal": ("imp", ["clean"]),
    "impedance_snip": ("snip", list(TARGETS)),
    "impedance_random": ("random", list(TARGETS)),
}
LABELS = {"dense": "dense", "imp": "IMP", "random": "random", "snip": "SNIP"}
LOOKS = {**PRUNERS, "dense": Style("#4b5563", "P")}


def impedance(frames: Frames) -> Exhibit | Absent:
    """Training loss over steps for four targets, of dense and sparse priors at one sparsity."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _shown, "fit of a target outright", ["target"]):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    fits = fits.assign(pruner=fits["pruner"].where(fits["round"] > 0, "dense"))
    fits = fits.drop_duplicates(["fit", "pruner"])
    level = fits.loc[fits["round"] > 0, "round"].max()
    fits = fits[fits["round"].isin([0, level])].astype({"seed": "int64"})
    measured = fits.assign(loss_db=10 * np.log10(fits["loss"].where(np.isfinite(fits["loss"]) & (fits["loss"] > 0))))
    at = ["image", "target", "seed"]
    measured["over_dense"] = minus(measured, measured[measured["pruner"] == "dense"], at, "loss_db")
    judged = []
    for name, (pruner, claimed) in CLAIMED.items():
        rows = measured[(measured["pruner"] == pruner) & measured["target"].isin(claimed)]
        judged += verdicts(frames, name, rows, "over_dense", ["image", "target"], ["loss"])
    table = (
        measured.groupby(["image", "target", "pruner"])
        .agg(sparsity=("sparsity", "mean"), seeds=("seed", "nunique"), loss=("loss", "mean"), loss_std=("loss", "std"))
        .join(measured.groupby(["image", "target", "pruner"])[["over_dense"]].mean())
        .reset_index()
        .rename(columns={"over_dense": "loss_over_dense_db"})
    )
    curves = frames.only(fits).curves.astype({"seed": "int64", "step": "int64"})
    curves = curves.merge(fits["target"].rename("panel"), left_on="row", right_index=True)
    targets = {target: text for target, text in TARGETS.items() if target in set(fits["target"])}
    labels = {name: text for name, text in LABELS.items() if name in set(fits["pruner"])}
    figure = curve_panels(curves, targets, {"loss": "training loss"}, labels, LOOKS, log=True)
    sparsity = fits.loc[fits["round"] > 0, "sparsity"].mean()
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            f"Training loss when a target is fitted outright, dense and at {100 * sparsity:.3g} % sparsity. IMP's masks"
            " were found on denoising. Line: mean over seeds; band: one standard deviation. The statistic is the loss"
            " (mean of the last 100 steps) over that of the dense prior, in dB: 10 dB is ten times the loss.",
        ),
        table,
        figure,
        judged,
        gap=gap(frames),
    )


def _shown(rows: pd.DataFrame) -> pd.Series:
    own = rows["source_image"] == rows["image"]
    return (rows["task"] == "reconstruct") & own & (rows["compat"] == "") & rows["round"].notna()
