"""Table 5: tickets of 73.79 % over the standard sets."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import (
    Absent,
    Exhibit,
    alone,
    as_in_paper,
    caption,
    gap,
    lacking,
    plural,
    psnr_notes,
    verdicts,
)
from analysis.exhibits.scores import FAULT_COUNTS, minus, of, scores
from analysis.frames import Frames
from analysis.plots import OUTPUTS, PRUNERS, dot_panels

NAME, TITLE = "sets", "Over the standard sets (Table 5)"


def sets(frames: Frames) -> Exhibit | Absent:
    """PSNR of IMP tickets of 73.79 % less that of the dense prior, by set and task."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _ticket, "IMP ticket of 73.79 %", ["factor", "prior"]):
        return absent
    fits = frames.fits[_imp(frames.fits) & (frames.fits["prior"] != "decoder")]
    every = scores(fits, "factor", "channels")
    factor = every["factor"].map(lambda value: "" if pd.isna(value) else f" ×{value}").astype("str")
    every["what"] = every["task"] + factor
    every["set"] = every["image"].str.split("/").str[0]
    every["group"] = every["what"] + ", " + every["set"]
    dense = every[every["round"] == 0]
    at = ["group", "image", "seed", "output"]
    every["minus_dense"] = minus(every, dense, at)
    tickets = every[every["round"] == paper.SETS_ROUND]
    means = tickets.groupby(["group", "seed", "output"])["minus_dense"].mean().reset_index().assign(line="imp")
    pairs = pd.concat([dense.assign(net="dense"), tickets.assign(net="ticket")])
    frame = (
        pairs.groupby(["set", "what", "net", "output"])
        .agg(
            images=("image", "nunique"),
            seeds=("seed", "nunique"),
            psnr=("psnr", "mean"),
            psnr_ema=("psnr_ema", "mean"),
            psnr_raw=("psnr_raw", "mean"),
            minus_dense=("minus_dense", "mean"),
            **FAULT_COUNTS,
        )
        .reset_index()
    )
    judged = []
    for output in OUTPUTS:
        columns = of(means, output).groupby("group")["minus_dense"].mean()
        note = f"ahead in {int((columns > 0).sum())} of {plural(len(columns), 'column')}"
        judged += verdicts(frames, "sets", tickets, "minus_dense", ["group", "image"], [output], note)
    reference = _beside(of(pairs, "peak"))
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "PSNR of IMP tickets of 73.79 % less that of the dense prior, by task and set, mean over images. In the"
            " table the paper's columns are dense, LIP, NAS-DIP and ISNAS-DIP; ours are oracle peaks.",
            alone(reference["LIP (ours)"]),
            psnr_notes(fits, dots=True),
        ),
        frame,
        dot_panels(means, "group", "line", {"imp": "IMP ticket less dense"}, PRUNERS, "minus_dense", "gain (dB)", True),
        judged,
        reference,
        gap(frames),
    )


def _beside(peak: pd.DataFrame) -> pd.DataFrame:
    rows = []
    ours = peak.groupby(["set", "what", "net"])["psnr"].mean()
    for (name, what), (dense, lip, nas, isnas) in paper.TABLE_5.items():
        own_dense, own_lip = (ours.get((name, what, net), float("nan")) for net in ("dense", "ticket"))
        rows.append(
            {
                "set": name,
                "task": what,
                "DIP (paper)": dense,
                "LIP (paper)": lip,
                "NAS-DIP (paper)": nas,
                "ISNAS-DIP (paper)": isnas,
                "dense (ours)": own_dense,
                "LIP (ours)": own_lip,
                "difference, dense": own_dense - dense,
                "difference, LIP": own_lip - lip,
                "gain (paper)": round(lip - dense, 2),
                "gain (ours)": own_lip - own_dense,
            }
        )
    return pd.DataFrame(rows)


def _imp(rows: pd.DataFrame) -> pd.Series:
    own = (rows["source_image"] == rows["image"]) & (rows["source_task"] == rows["task"])
    scored = ~rows["task"].isin(["reconstruct", "restore"])
    return as_in_paper(rows) & own & scored & (rows["pruner"] == "imp") & (rows["rewind"] == 0)


def _ticket(rows: pd.DataFrame) -> pd.Series:
    return _imp(rows) & (rows["round"] == paper.SETS_ROUND)
