"""Table 2: tickets exactly as large as a deep decoder, against it; and the paper's counts beside exact ones."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import Absent, Exhibit, beside, caption, gap, lacking, psnr_notes, verdicts
from analysis.exhibits.scores import minus, scores, summary
from analysis.exhibits.transfer import DECODER_LOOK, panel
from analysis.frames import Frames
from analysis.plots import PRUNERS, Style, dot_panels
from lip.masks import kept_after

NAME, TITLE = "sizes", "As large as a deep decoder (Table 2)"
HOURGLASS = (2_208_768, 9_063)
"""The paper's network: weights that masks cover, and all other parameters."""

LABELS = {"dense": "dense", "ticket": "IMP ticket of the decoder's size", "decoder": "deep decoder"}
LOOKS = {"dense": Style("#4b5563", "P"), "ticket": PRUNERS["imp"], "decoder": DECODER_LOOK}


def sizes(frames: Frames) -> Exhibit | Absent:
    """PSNR of IMP tickets and deep decoders of the same number of parameters, by task."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _decoder, "deep decoder", ["prior", "factor"]):
        return absent
    fits = frames.fits[_native(frames.fits)]
    every = scores(fits, "factor")
    every["panel"] = panel(every)
    every["net"] = "ticket"
    every.loc[every["round"] == 0, "net"] = "dense"
    every.loc[every["prior"] == "decoder", "net"] = "decoder"
    decoders = every[every["net"] == "decoder"].groupby("panel")["kept_parameters"].median()
    size = every["panel"].map(decoders)
    near = (every["kept_parameters"] / size - 1).abs() <= 0.02
    every = every[(every["net"] != "ticket") | near]
    every = every[every["panel"].isin(decoders.index)]
    at = ["panel", "seed", "output"]
    every["minus_decoder"] = minus(every, every[every["net"] == "decoder"], at)
    tickets = every[every["net"] == "ticket"]
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "PSNR by task of IMP tickets cut to the number of parameters of a deep decoder (within 2 %), of that"
            " decoder, and of the dense prior. The paper's own counts are of no round: they are what a mask keeps that"
            " skips two layers.",
            psnr_notes(fits, dots=True),
        ),
        summary(every, ["panel", "net"], "minus_decoder"),
        dot_panels(every, "panel", "net", LABELS, LOOKS),
        verdicts(frames, "sizes", tickets, "minus_decoder", ["panel"]),
        table_2(),
        gap(frames),
    )


def table_2() -> pd.DataFrame:
    """The paper's counts of parameters beside exact ones."""
    weights, others = HOURGLASS
    rows: list[dict[str, object]] = []
    for name, count in paper.TABLE_2.items():
        if name.startswith("deep decoder"):
            width = int(name.split()[-1])
            ours: float = 6 * width**2 + 15 * width
        elif k := paper.TABLE_2_ROUNDS.get(name):
            ours = kept_after(weights, k) + others
        else:
            ours = float("nan")
        rows.append({"network": name, "paper (parameters)": count, "ours (parameters)": ours})
    return beside(rows, "paper (parameters)", "ours (parameters)")


def _native(rows: pd.DataFrame) -> pd.Series:
    own = (rows["source_image"] == rows["image"]) & (rows["source_task"] == rows["task"])
    return own & (rows["compat"] == "") & (rows["pruner"] == "imp") & (rows["rewind"] == 0)


def _decoder(rows: pd.DataFrame) -> pd.Series:
    if "prior" in rows:
        return _native(rows) & (rows["prior"] == "decoder")
    alone = rows.groupby("trajectory")["fit"].transform("size") == 1  # planned points do not name the prior
    return _native(rows) & alone
