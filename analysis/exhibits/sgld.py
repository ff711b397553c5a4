"""Fig 16: tickets trained by stochastic gradient Langevin dynamics."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import Absent, Exhibit, caption, gap, lacking, native, psnr_notes, span, verdicts
from analysis.exhibits.scores import minus, of, scores, summary
from analysis.frames import Frames
from analysis.plots import PRUNERS, psnr_panels

NAME, TITLE = "sgld", "Tickets trained by Langevin dynamics (Fig. 16)"


def sgld(frames: Frames) -> Exhibit | Absent:
    """PSNR over sparsity of IMP tickets trained by SGLD, with that of the posterior mean in the table."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _imp, "IMP ticket", ["langevin"]):
        return absent
    fits = frames.fits[_imp(frames.fits) & (frames.fits["langevin"] > 0)]
    if fits[fits["round"] > 0].empty:
        return Absent(NAME, TITLE, "no IMP ticket of the sweep is trained by SGLD", frames.command_for(NAME))
    every = scores(fits, "psnr_mean")
    dense = every[every["round"] == 0]
    on = ["image", "seed", "output"]
    every["minus_dense"] = minus(every, dense, on)
    every["mean_minus_dense"] = minus(every, dense, on, "psnr_mean")
    tickets = every[every["round"].isin(paper.SGLD_ROUNDS)]
    cells, note = ["round", "image"], f"at {span(tickets['round'])}"
    judged = [
        *verdicts(frames, "sgld", tickets, "minus_dense", cells, note=note),
        *verdicts(frames, "sgld_mean", of(tickets, "last"), "mean_minus_dense", cells, ["posterior mean"], note),
    ]
    mean = of(every, "last").groupby(["image", "round"])[["psnr_mean", "mean_minus_dense"]].mean().reset_index()
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "PSNR over sparsity of IMP tickets, found and trained by SGLD; the dashed line is the dense prior with"
            " SGLD. The table has the posterior mean too, of the outputs after burn-in.",
            psnr_notes(fits),
        ),
        summary(every, ["image", "pruner"], "minus_dense").merge(mean, on=["image", "round"], how="left"),
        psnr_panels(every, "pruner", {"imp": "IMP with SGLD"}, {"imp": PRUNERS["imp"]}),
        judged,
        gap=gap(frames),
    )


def _imp(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & (rows["pruner"] == "imp") & (rows["rewind"] == 0)
