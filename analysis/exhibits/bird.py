"""Table 3: a ticket with a tenth of the parameters, beside the dense prior."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import (
    Absent,
    Exhibit,
    beside,
    caption,
    gap,
    lacking,
    native,
    psnr_notes,
    unlike,
    verdicts,
)
from analysis.exhibits.scores import minus, of, scores, summary
from analysis.frames import Frames
from analysis.plots import PRUNERS, percent, psnr_panels

NAME, TITLE = "bird", "A tenth of the parameters (Table 3)"


def bird(frames: Frames) -> Exhibit | Absent:
    """PSNR over size of IMP tickets of one image, judged at round 11, where a tenth of the parameters is left."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, lambda rows: _imp(rows) & (rows["round"] > 0), "IMP ticket"):
        return absent
    fits = frames.fits[_imp(frames.fits)]
    preferred = [name for name in fits["image"].unique() if "bird" in name]
    fits = fits[fits["image"] == (preferred or sorted(fits["image"]))[0]]
    every = scores(fits)
    every["minus_dense"] = minus(every, every[every["round"] == 0], ["seed", "output"])
    tickets = every[every["round"] == paper.BIRD_ROUND]
    peak = of(every, "peak").groupby("round")["psnr"].mean()
    ours = {"dense": peak.get(0), "ticket": peak.get(paper.BIRD_ROUND)}
    rows: list[dict[str, object]] = [
        {"what": name, "paper (dB)": value, "ours (dB)": ours[name]} for name, value in paper.TABLE_3.items()
    ]
    gain = {"what": "ticket less dense", "paper (dB)": paper.TABLE_3["ticket"] - paper.TABLE_3["dense"]}
    rows.append({**gain, "ours (dB)": of(tickets, "peak")["minus_dense"].mean()})
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            f"PSNR over the number of parameters kept; the claim is about {percent(paper.BIRD_ROUND):.4g} %. The dashed"
            " line is the dense prior.",
            unlike(fits, "bird"),
            psnr_notes(fits),
        ),
        summary(every, ["image"], "minus_dense"),
        psnr_panels(every, "pruner", {"imp": "IMP"}, {"imp": PRUNERS["imp"]}, x="kept_parameters"),
        verdicts(frames, "bird", tickets, "minus_dense", ["image"]),
        beside(rows),
        gap(frames),
    )


def _imp(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & (rows["pruner"] == "imp") & (rows["rewind"] == 0)
