"""Fig 9: is it better to rewind to weights from early training than to theta_0?"""

from __future__ import annotations

import pandas as pd

from analysis import paper, stats
from analysis.exhibits.exhibit import Absent, Exhibit, caption, lacking, native, psnr_notes, span
from analysis.exhibits.scores import blocks, minus, scores, summary
from analysis.frames import Frames
from analysis.plots import OUTPUTS, PRUNERS, Style, psnr_panels, styles
from analysis.stats import Region, judge

NAME, TITLE = "rewinding", "Rewinding to early training"
LOOKS = {
    "0": PRUNERS["imp"],
    "5": Style("#fdb366", "v"),
    "10": Style("#dd3d2d", "D"),
    "20": Style("#7a0b2f", "X"),
}
"""Darker is later."""


def rewinding(frames: Frames) -> Exhibit | Absent:
    """PSNR of IMP tickets over sparsity, started from theta_0 or from theta_j (j in % of the dense run's steps)."""
    if gap := lacking(frames, NAME, TITLE, _rewound, "rewound IMP ticket"):
        return gap
    fits = frames.fits[_imp(frames.fits)]
    fits = fits[fits["image"].isin(fits.loc[fits["rewind"] > 0, "image"])]
    every = scores(fits)
    every["rewind_percent"] = every["rewind"].map("{:g}".format)
    baseline = every[every["rewind"] == 0]
    every["minus_theta_0"] = minus(every, baseline, ["image", "seed", "round", "output"])
    levels = [f"{rewind:g}" for rewind in sorted(fits["rewind"].unique())]
    labels = {level: "θ₀" if level == "0" else f"rewound to {level} %" for level in levels}
    tickets = every[every["round"] > 0]
    tolerance = stats.MATCHING_TOLERANCE_DB
    no_gain = (f"gains at most {tolerance} dB over θ₀", paper.REWINDING_NO_GAIN, stats.NO_GAIN)
    hurts = (f"costs more than {tolerance} dB", paper.REWINDING_HURTS, stats.HARM)
    expected: dict[str, tuple[str, str, Region]] = {"5": no_gain, "10": hurts, "20": hurts}
    claims = []
    for level, (claim, said, region) in expected.items():
        for output in OUTPUTS if level in levels else ():
            rows = tickets[(tickets["rewind_percent"] == level) & (tickets["output"] == output)]
            effects = blocks(rows, "minus_theta_0", ["round", "image"])
            where = f"at {span(rows['round'])}"
            claims.append(judge(f"rewinding to {level} % {claim} {where}", said, output, effects, region))
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "PSNR over sparsity of IMP tickets whose weights go back to θ₀, or to their values after a percentage of"
            " the dense run's steps. The dashed line is the dense prior.",
            psnr_notes(fits),
        ),
        summary(every, ["image", "rewind"], "minus_theta_0"),
        psnr_panels(every, "rewind_percent", labels, styles(list(labels), LOOKS)),
        claims,
    )


def _imp(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & (rows["pruner"] == "imp")


def _rewound(rows: pd.DataFrame) -> pd.Series:
    return _imp(rows) & (rows["rewind"] > 0) & (rows["round"] > 0)
