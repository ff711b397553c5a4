"""Beyond the paper: lottery image priors against Optimal Eye Surgeon (arXiv 2406.05288) on equal terms."""

from __future__ import annotations

import json

import pandas as pd

from analysis.exhibits.exhibit import Absent, Exhibit, caption, gap, lacking, psnr_notes, verdicts
from analysis.exhibits.scores import FAULT_COUNTS, minus, of, scores
from analysis.frames import Frames
from analysis.plots import PRUNERS, Style, dot_panels

NAME, TITLE = "oes", "Against Optimal Eye Surgeon (beyond the paper)"
LABELS = {
    "dense": "dense",
    "imp": "IMP",
    "oes": "OES",
    "shuffled": "random, OES's counts per layer",
    "random": "random",
}
LOOKS = {
    "dense": Style("#4b5563", "P"),
    "imp": PRUNERS["imp"],
    "oes": Style("#cc78bc", "D"),
    "shuffled": Style("#ca9161", "v"),
    "random": PRUNERS["random"],
}
COVERS = {"weights": "convolution weights", "all": "all parameters"}


def oes(frames: Frames) -> Exhibit | Absent:
    """PSNR at one sparsity of masks by IMP, by OES and at random, of the same net, seed and observation."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _oes, "mask of Optimal Eye Surgeon", ["covers"]):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["mask_kind"].ne("shuffled") | fits["spec"].map(_counts_of_oes)]
    level = fits.loc[_oes(fits), "sparsity"].max()
    fits = fits[(fits["round"] == 0).fillna(False) | ((fits["sparsity"] - level).abs() < 1e-3)]
    fits = fits.assign(pruner=fits["pruner"].where(fits["sparsity"] > 0, "dense")).drop_duplicates(["fit", "pruner"])
    every = scores(fits, "covers")
    every["prunable"] = every["covers"].map(COVERS)
    at = ["image", "covers", "seed", "output"]
    for name in ("dense", "oes", "shuffled"):
        every[f"minus_{name}"] = minus(every, every[every["pruner"] == name], at)
    last = of(every, "last").set_index(["fit", "covers", "pruner"])["psnr"].rename("last")
    gaps = of(every, "peak").join(last, on=["fit", "covers", "pruner"])
    gaps["gap"] = gaps["psnr"] - gaps["last"]
    gaps["minus_dense_gap"] = minus(gaps, gaps[gaps["pruner"] == "dense"], ["image", "covers", "seed"], "gap")
    cells = ["image", "covers"]
    masked = gaps[gaps["pruner"].isin(["imp", "oes"])]
    judged = [
        *verdicts(frames, "oes_matched", every[every["pruner"] == "imp"], "minus_oes", cells),
        *verdicts(frames, "oes_counts", every[every["pruner"] == "oes"], "minus_shuffled", cells),
        *verdicts(frames, "oes_gap", masked, "minus_dense_gap", [*cells, "pruner"], ["peak less last"]),
    ]
    by = ["image", "covers", "pruner"]
    frame = (
        every.groupby([*by, "output"])
        .agg(
            sparsity=("sparsity", "mean"),
            kept_parameters=("kept_parameters", "mean"),
            seeds=("seed", "nunique"),
            psnr=("psnr", "mean"),
            psnr_std=("psnr", "std"),
            minus_dense=("minus_dense", "mean"),
            **FAULT_COUNTS,
        )
        .join(gaps.groupby(by)["gap"].mean().rename("peak_less_last"), on=by)
        .reset_index()
    )
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            f"PSNR of masks that prune {100 * level:.3g} % of what they cover: the convolutions' weights, as in LIP, or"
            " all parameters, as in OES. θ₀, code, observation and jitter are the same for all; OES searches longer"
            " than a fit takes. The gap is the oracle peak less the last output.",
            psnr_notes(fits, dots=True),
        ),
        frame,
        dot_panels(every, "prunable", "pruner", LABELS, LOOKS),
        judged,
        gap=gap(frames),
    )


def _counts_of_oes(spec: str) -> bool:
    return json.loads(spec).get("mask", {}).get("of", {}).get("kind") == "oes"


def _shown(rows: pd.DataFrame) -> pd.Series:
    own = (rows["source_image"] == rows["image"]) & (rows["task"] == "denoise") & (rows["source_task"] == "denoise")
    return own & (rows["compat"] == "") & (rows["rewind"] == 0) & rows["pruner"].isin(list(LABELS))


def _oes(rows: pd.DataFrame) -> pd.Series:
    pruned = rows["sparsity"] > 0 if "sparsity" in rows else True
    return _shown(rows) & (rows["pruner"] == "oes") & pruned
