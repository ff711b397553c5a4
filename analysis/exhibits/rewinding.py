"""Fig 9: is it better to rewind to weights from early training than to theta_0?"""

from __future__ import annotations

import pandas as pd

from analysis.exhibits.exhibit import Absent, Exhibit, caption, gap, lacking, native, psnr_notes, span, verdicts
from analysis.exhibits.scores import minus, scores, summary
from analysis.frames import Frames
from analysis.plots import PRUNERS, Style, psnr_panels, styles

NAME, TITLE = "rewinding", "Rewinding to early training (Fig. 9)"
LOOKS = {
    "0": PRUNERS["imp"],
    "5": Style("#fdb366", "v"),
    "10": Style("#dd3d2d", "D"),
    "20": Style("#7a0b2f", "X"),
}
"""Darker is later."""
LATEST = 20

CLAIMED = {"rewinding_gain": 5, "rewinding_10": 10, "rewinding_20": 20}
RELEASED = "backtrack"
"""The name in `compat` of undoing steps as the released code does."""


def rewinding(frames: Frames) -> Exhibit | Absent:
    """Compare IMP tickets started from theta_0 with those from theta_j (j in % of the dense run's steps)."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _rewound, "rewound IMP ticket"):
        return absent
    fits = frames.fits[_imp(frames.fits)]
    fits = fits[fits["image"].isin(fits.loc[fits["rewind"] > 0, "image"])]
    every = scores(fits)
    every["rewind_percent"] = every["rewind"].map("{:g}".format)
    every["panel"] = every["image"] + every["compat"].map({"": "", RELEASED: ", as released"})
    every["minus_theta_0"] = minus(every, every[every["rewind"] == 0], ["panel", "seed", "round", "output"])
    ours, theirs = (every[(every["compat"] == compat) & (every["round"] > 0)] for compat in ("", RELEASED))
    levels = [f"{rewind:g}" for rewind in sorted(fits["rewind"].unique())]
    labels = {level: "θ₀" if level == "0" else f"rewound to {level} %" for level in levels}
    judged = []
    for name, level in CLAIMED.items():
        rows = ours[ours["rewind"] == level]
        judged += verdicts(frames, name, rows, "minus_theta_0", ["round", "image"], note=f"at {span(rows['round'])}")
    late = theirs[theirs["rewind"] == LATEST]
    change = minus(late, ours, ["image", "rewind", "seed", "round", "output"], "minus_theta_0")
    judged += verdicts(frames, "rewinding_undo", late.assign(change=change), "change", ["round", "image"])
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "PSNR over sparsity of IMP tickets whose weights go back to θ₀, or to their values after a percentage of"
            " the dense run's steps. The dashed line is the dense prior. Below, where there are such fits, steps are"
            " undone as the released code does.",
            psnr_notes(fits),
        ),
        summary(every, ["image", "compat", "rewind"], "minus_theta_0"),
        psnr_panels(every, "rewind_percent", labels, styles(list(labels), LOOKS), "panel"),
        judged,
        gap=gap(frames),
    )


def _imp(rows: pd.DataFrame) -> pd.Series:
    undone_as_released = native(rows.assign(compat="")) & (rows["compat"] == RELEASED)
    return (native(rows) | undone_as_released) & (rows["pruner"] == "imp")


def _rewound(rows: pd.DataFrame) -> pd.Series:
    return _imp(rows) & (rows["rewind"] > 0) & (rows["round"] > 0)
