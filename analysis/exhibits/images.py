"""Fig 14: do masks found on one image serve another?"""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import Absent, Exhibit, caption, denoising, gap, lacking, psnr_notes, span, verdicts
from analysis.exhibits.scores import minus, scores, summary
from analysis.frames import Frames
from analysis.plots import PRUNERS, psnr_panels, styles

NAME, TITLE = "images", "Masks found on other images (Fig. 14)"
NATIVE = "own masks"


def images(frames: Frames) -> Exhibit | Absent:
    """PSNR on an image with IMP masks found on other images, beside its own masks and the dense prior."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _transferred, "ticket taken from another image"):
        return absent
    fits = frames.fits[_imp(frames.fits)]
    fits = fits[fits["image"].isin(fits.loc[_foreign(fits), "image"])]
    every = scores(fits)
    every["masks"] = every["source_image"].where(_foreign(every), NATIVE)
    every["minus_native"] = minus(every, every[every["masks"] == NATIVE], ["image", "seed", "round", "output"])
    sources = sorted(fits.loc[_foreign(fits), "source_image"].unique())
    labels = {NATIVE: NATIVE, **{source: f"masks of {source}" for source in sources}}
    foreign = every[(every["masks"] != NATIVE) & (every["round"] > 0)]
    several = foreign["masks"].str.contains("+", regex=False)
    single = foreign[~several]
    low = single[single["round"].isin(paper.FOREIGN_LOW_ROUNDS)]
    high = single[single["round"] >= paper.FOREIGN_HIGH_FROM]
    mean = high.groupby(["image", "seed", "round", "output"])["psnr"].mean().reset_index()
    multi = foreign[several & (foreign["round"] >= paper.FOREIGN_HIGH_FROM)]
    multi = multi.assign(lead=minus(multi, mean, ["image", "seed", "round", "output"]))
    judged = [
        verdict
        for name, rows, value in (
            ("foreign_low", low, "minus_native"),
            ("foreign_high", high, "minus_native"),
            ("foreign_multi", multi, "lead"),
        )
        for verdict in verdicts(
            frames, name, rows, value, ["round", "image", "masks"], note=f"at {span(rows['round'])}"
        )
    ]
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "PSNR over sparsity with IMP masks of the image itself and of others (+: found on several together); θ₀ is"
            " that of the same seed. The dashed line is the dense prior.",
            psnr_notes(fits),
        ),
        summary(every, ["image", "masks"], "minus_native"),
        psnr_panels(every, "masks", labels, styles(list(labels), {NATIVE: PRUNERS["imp"]})),
        judged,
        gap=gap(frames),
    )


def _imp(rows: pd.DataFrame) -> pd.Series:
    return denoising(rows) & (rows["pruner"] == "imp") & (rows["rewind"] == 0)


def _foreign(rows: pd.DataFrame) -> pd.Series:
    return rows["source_image"] != rows["image"]


def _transferred(rows: pd.DataFrame) -> pd.Series:
    return _imp(rows) & _foreign(rows) & (rows["round"] > 0)
