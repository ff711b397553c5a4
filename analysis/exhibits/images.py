"""Fig 14: do masks found on one image serve another?"""

from __future__ import annotations

import pandas as pd

from analysis import paper, stats
from analysis.exhibits.exhibit import Absent, Exhibit, caption, denoising, lacking, psnr_notes, span
from analysis.exhibits.scores import blocks, minus, scores, summary
from analysis.frames import Frames
from analysis.plots import OUTPUTS, PRUNERS, psnr_panels, styles
from analysis.stats import Region, Verdict, judge

NAME, TITLE = "images", "Masks found on other images"
NATIVE = "own masks"


def images(frames: Frames) -> Exhibit | Absent:
    """PSNR on an image with IMP masks found on other images, beside its own masks and the dense prior."""
    if gap := lacking(frames, NAME, TITLE, _transferred, "ticket taken from another image"):
        return gap
    fits = frames.fits[_imp(frames.fits)]
    fits = fits[fits["image"].isin(fits.loc[_foreign(fits), "image"])]
    every = scores(fits)
    every["masks"] = every["source_image"].where(_foreign(every), NATIVE)
    native = every[every["masks"] == NATIVE]
    every["minus_native"] = minus(every, native, ["image", "seed", "round", "output"])
    sources = sorted(fits.loc[_foreign(fits), "source_image"].unique())
    labels = {NATIVE: NATIVE, **{source: f"masks of {source}" for source in sources}}
    foreign = every[(every["masks"] != NATIVE) & (every["round"] > 0)]
    low = foreign[foreign["round"].isin(paper.FOREIGN_LOW_ROUNDS)]
    high = foreign[foreign["round"] >= paper.FOREIGN_HIGH_FROM]
    tolerance = f"within {stats.MATCHING_TOLERANCE_DB} dB"
    claims = [
        _judged(rows, output, claim, said, region)
        for rows, claim, said, region in (
            (foreign, f"masks of other images match own ones ({tolerance})", paper.FOREIGN, stats.MATCHING),
            (low, "masks of other images are worse than own ones", paper.FOREIGN_LOW, stats.NEGATIVE),
            (high, f"masks of other images equal own ones ({tolerance})", paper.FOREIGN_HIGH, stats.EQUAL),
        )
        for output in OUTPUTS
    ]
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "PSNR over sparsity with IMP masks of the image itself and of others; θ₀ is that of the same seed."
            " The dashed line is the dense prior.",
            psnr_notes(fits),
        ),
        summary(every, ["image", "masks"], "minus_native"),
        psnr_panels(every, "masks", labels, styles(list(labels), {NATIVE: PRUNERS["imp"]})),
        claims,
    )


def _imp(rows: pd.DataFrame) -> pd.Series:
    return denoising(rows) & (rows["pruner"] == "imp") & (rows["rewind"] == 0)


def _foreign(rows: pd.DataFrame) -> pd.Series:
    return rows["source_image"] != rows["image"]


def _transferred(rows: pd.DataFrame) -> pd.Series:
    return _imp(rows) & _foreign(rows) & (rows["round"] > 0)


def _judged(rows: pd.DataFrame, output: str, claim: str, said: str, region: Region) -> Verdict:
    rows = rows[rows["output"] == output]
    effects = blocks(rows, "minus_native", ["round", "image", "masks"])
    return judge(f"{claim} at {span(rows['round'])}", said, output, effects, region)
