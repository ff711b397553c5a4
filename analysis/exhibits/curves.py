"""Fig 11: PSNR and SSIM over training, of dense and sparse priors."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import Absent, Exhibit, caption, gap, lacking, native, verdicts
from analysis.exhibits.scores import minus, scores
from analysis.frames import Frames
from analysis.plots import PRUNERS, Style, curve_panels, percent, styles

NAME, TITLE = "curves", "What happens over training (Fig. 11)"
LOOKS = {**PRUNERS, "dense": Style("#4b5563", "P")}


def curves(frames: Frames) -> Exhibit | Absent:
    """PSNR and SSIM of the averaged output over steps, at the measured sparsities nearest to 89 and 95 %."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _pruned, "pruned fit"):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["image"] == sorted(fits["image"])[0]]
    rounds = _nearest(fits)
    pruned = fits[fits["round"].isin(rounds)]
    dense = fits[fits["round"] == 0].drop_duplicates("fit").assign(pruner="dense")
    every = scores(pd.concat([pruned, dense]))
    at = ["image", "seed", "output"]
    every["minus_dense"] = minus(every, every[every["pruner"] == "dense"], at)
    every["minus_snip"] = minus(every, every[every["pruner"] == "snip"], [*at, "round"])
    tickets = every[every["pruner"] == "imp"]
    note = "at " + " and ".join(f"{percent(k):.3g} %" for k in rounds)
    judged = [
        *verdicts(frames, "curves_snip", tickets, "minus_snip", ["round"], note=note),
        *verdicts(frames, "curves_dense", tickets, "minus_dense", ["round"], note=note),
    ]
    long = frames.only(pd.concat([pruned, dense], ignore_index=True)).curves
    long = long.astype({"seed": "int64", "round": "int64", "step": "int64"}).assign(panel=lambda rows: rows["round"])
    shown = pd.concat([long[long["round"] > 0], *(long[long["round"] == 0].assign(panel=k) for k in rounds)])
    names = ["dense", *sorted(pruned["pruner"].unique())]
    labels = {"dense": "dense", "imp": "IMP", "random": "random", "snip": "SNIP"}
    table = (
        shown.groupby(["panel", "pruner", "step"])[["psnr_ema", "ssim_ema", "psnr", "ssim", "loss"]]
        .mean()
        .reset_index()
        .rename(columns={"panel": "round"})
    )
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            pd.concat([pruned, dense]),
            "PSNR and SSIM of the averaged output over the steps of training. Line: mean over seeds; band: one standard"
            " deviation.",
        ),
        table,
        curve_panels(
            shown,
            {k: f"{percent(k):.3g} % pruned" for k in rounds},
            {"psnr_ema": "PSNR (dB)", "ssim_ema": "SSIM"},
            {name: labels.get(name, name) for name in names},
            styles(names, LOOKS),
        ),
        judged,
        gap=gap(frames),
    )


def _nearest(fits: pd.DataFrame) -> list[int]:
    measured = fits.loc[fits["round"] > 0, "round"].unique()
    return sorted({int(min(measured, key=lambda k: abs(k - wanted))) for wanted in paper.CURVE_ROUNDS})


def _shown(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & (rows["rewind"] == 0)


def _pruned(rows: pd.DataFrame) -> pd.Series:
    return _shown(rows) & (rows["round"] > 0)
