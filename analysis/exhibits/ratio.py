"""Fig 15: is it how much IMP keeps of every layer, or which weights?"""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import (
    Absent,
    Exhibit,
    caption,
    gap,
    labels_of,
    lacking,
    native,
    psnr_notes,
    span,
    verdicts,
)
from analysis.exhibits.scores import minus, scores, summary
from analysis.frames import Frames
from analysis.plots import psnr_panels, styles

NAME, TITLE = "ratio", "Random pruning with IMP's layer-wise ratios (Fig. 15)"


def ratio(frames: Frames) -> Exhibit | Absent:
    """PSNR over sparsity of IMP, of random masks that keep as many weights of every layer, and of uniform ones."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _shuffled, "random mask with IMP's ratios"):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["image"].isin(fits.loc[_shuffled(fits), "image"])]
    every = scores(fits)
    uniform = every[every["pruner"] == "random"]
    every["minus_random"] = minus(every, uniform, ["image", "seed", "round", "output"])
    rows = every[(every["pruner"] == "shuffled") & (every["round"] >= paper.RATIO_FROM)]
    labels = labels_of(fits["pruner"])
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "PSNR over sparsity of random masks that keep as many weights of every layer as IMP does, beside uniform"
            " random ones and IMP. The dashed line is the dense prior.",
            psnr_notes(fits),
        ),
        summary(every, ["image", "pruner"], "minus_random"),
        psnr_panels(every, "pruner", labels, styles(list(labels))),
        verdicts(frames, "ratio", rows, "minus_random", ["round", "image"], note=f"at {span(rows['round'])}"),
        gap=gap(frames),
    )


def _shown(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & (rows["rewind"] == 0) & rows["pruner"].isin(["imp", "random", "shuffled"])


def _shuffled(rows: pd.DataFrame) -> pd.Series:
    return _shown(rows) & (rows["pruner"] == "shuffled") & (rows["round"] > 0)
