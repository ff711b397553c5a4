"""Fig 4: tickets of several images fitted together, used on one of them and on one that is not among them."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import Absent, Exhibit, caption, denoising, gap, lacking, psnr_notes, span, verdicts
from analysis.exhibits.scores import minus, scores, summary
from analysis.frames import Frames
from analysis.plots import PRUNERS, Style, psnr_panels

NAME, TITLE = "multi", "Tickets of several images (Fig. 4)"
LABELS = {"own": "own tickets", "several": "tickets of several images", "random": "random"}
LOOKS = {"own": PRUNERS["imp"], "several": Style("#cc78bc", "D"), "random": PRUNERS["random"]}


def multi(frames: Frames) -> Exhibit | Absent:
    """PSNR over sparsity of multi-image tickets, of an image's own and of random pruning."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _several, "ticket of several images"):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["image"].isin(fits.loc[_several(fits), "image"])]
    every = scores(fits)
    every["masks"] = every["pruner"].map({"imp": "own", "random": "random"})
    every["masks"] = every["masks"].mask(every["source_image"] != every["image"], "several")
    at = ["image", "seed", "round", "output"]
    every["minus_dense"] = minus(every, every[every["round"] == 0], ["image", "seed", "output"])
    every["minus_own"] = minus(every, every[every["masks"] == "own"], at)
    every["minus_random"] = minus(every, every[every["masks"] == "random"], at)
    tickets = every[(every["masks"] == "several") & (every["round"] > 0)]
    judged = []
    for name, value, rounds in (
        ("multi_dense", "minus_dense", paper.MATCHING_ROUNDS),
        ("multi_random", "minus_random", paper.BEATS_ROUNDS),
        ("multi_own", "minus_own", paper.MATCHING_ROUNDS),
        ("multi_extreme", "minus_own", range(paper.EXTREME_FROM, 51)),
    ):
        rows = tickets[tickets["round"].isin(rounds)]
        judged += verdicts(frames, name, rows, value, ["round", "image"], note=f"at {span(rows['round'])}")
    sources = sorted(fits.loc[_several(fits), "source_image"].unique())
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            f"PSNR over sparsity with IMP masks found on {' and '.join(sources)} together, with the image's own and"
            " with random ones. With one code for all images this amounts to fitting their mean. The paper's faces are"
            " not published, so that its comparison within one domain is missing.",
            psnr_notes(fits),
        ),
        summary(every, ["image", "masks"], "minus_own"),
        psnr_panels(every, "masks", LABELS, LOOKS),
        judged,
        gap=gap(frames),
    )


def _shown(rows: pd.DataFrame) -> pd.Series:
    own = rows["source_image"] == rows["image"]
    known = (rows["pruner"] == "random") | ((rows["pruner"] == "imp") & (own | _together(rows)))
    return denoising(rows) & (rows["rewind"] == 0) & known


def _together(rows: pd.DataFrame) -> pd.Series:
    return rows["source_image"].str.contains("+", regex=False)


def _several(rows: pd.DataFrame) -> pd.Series:
    return _shown(rows) & _together(rows) & (rows["round"] > 0)
