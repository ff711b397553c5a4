"""Fig 5: do tickets found on one restoration task work on another? And the deep decoder, of its own size."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import Absent, Exhibit, as_in_paper, caption, gap, lacking, psnr_notes, verdicts
from analysis.exhibits.scores import minus, scores, summary
from analysis.frames import Frames
from analysis.plots import PRUNERS, Style, psnr_panels, styles

NAME, TITLE = "transfer", "Masks found on other tasks (Fig. 5)"
NATIVE, DECODER = "own masks", "deep decoder"
DECODER_LOOK = Style("#111827", "D")


def transfer(frames: Frames) -> Exhibit | Absent:
    """PSNR over size with IMP masks found on the task itself and on others, beside the dense prior and the decoder."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _transferred, "ticket taken from another task", ["prior", "factor"]):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["task"].isin(fits.loc[_transferred(fits), "task"])]
    every = scores(fits, "factor")
    every["panel"] = panel(every)
    every["masks"] = every["source_task"].where(every["source_task"] != every["task"], NATIVE)
    decoder = every[every["prior"] == "decoder"].assign(masks=DECODER)
    every = every[every["prior"] != "decoder"]
    at = ["panel", "seed", "output"]
    every["minus_dense"] = minus(every, every[every["round"] == 0], at)
    every["minus_native"] = minus(every, every[every["masks"] == NATIVE], [*at, "round"])
    foreign = every[(every["masks"] != NATIVE) & (every["round"] > 0)]
    matching = foreign[foreign["round"].isin(paper.MATCHING_ROUNDS)]
    cells = ["panel", "masks", "round"]
    judged = [
        *verdicts(frames, "transfer", foreign, "minus_native", cells),
        *verdicts(frames, "transfer_dense", matching, "minus_dense", cells),
    ]
    labels = {NATIVE: NATIVE, **{task: f"masks of {task}" for task in sorted(set(foreign["masks"]))}}
    looks = styles(list(labels), {NATIVE: PRUNERS["imp"], DECODER: DECODER_LOOK})
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "PSNR over the number of parameters kept, with IMP masks of the task itself and of others"
            " (super-resolution: those of ×4, also at ×8), all found on the same image; the dashed line is the dense"
            " prior. The deep decoder stands at its own size.",
            psnr_notes(fits),
        ),
        summary(every, ["panel", "masks"], "minus_native"),
        psnr_panels(every, "masks", labels, looks, "panel", "kept_parameters", decoder if len(decoder) else None),
        judged,
        gap=gap(frames),
    )


def panel(rows: pd.DataFrame) -> pd.Series:
    """Task and image: `superres ×4, coffee`."""
    factor = rows["factor"].map(lambda value: "" if pd.isna(value) else f" ×{value}").astype("str")
    return rows["task"] + factor + ", " + rows["image"]


def _shown(rows: pd.DataFrame) -> pd.Series:
    own_image = rows["source_image"] == rows["image"]
    return as_in_paper(rows) & own_image & (rows["pruner"] == "imp") & (rows["rewind"] == 0)


def _transferred(rows: pd.DataFrame) -> pd.Series:
    return _shown(rows) & (rows["source_task"] != rows["task"]) & (rows["round"] > 0)
