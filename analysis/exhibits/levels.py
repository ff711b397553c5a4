"""Table 4: tickets against SynFlow at round sparsities, which are no rounds of IMP."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import (
    Absent,
    Exhibit,
    beside,
    caption,
    gap,
    labels_of,
    lacking,
    psnr_notes,
    unlike,
    verdicts,
)
from analysis.exhibits.scores import minus, of, scores, summary
from analysis.frames import Frames
from analysis.plots import psnr_panels, styles

NAME, TITLE = "levels", "Against SynFlow (Table 4)"
COLUMNS = {"imp": 0, "synflow": 1}
"""Where a pruner stands in the paper's table."""


def levels(frames: Frames) -> Exhibit | Absent:
    """PSNR over sparsity of IMP tickets cut to the table's sparsities, and of SynFlow's masks."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _synflow, "SynFlow mask"):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["image"].isin(fits.loc[_synflow(fits), "image"])]
    every = scores(fits)
    every["percent"] = (100 * every["sparsity"]).round(2)
    dense = every[every["sparsity"] == 0]
    every["minus_dense"] = minus(every, dense, ["image", "seed", "output"])
    synflow = every[every["pruner"] == "synflow"]
    every["minus_synflow"] = minus(every, synflow, ["image", "seed", "output", "percent"])
    judged = every[(every["pruner"] == "imp") & (every["percent"] >= 100 * paper.SYNFLOW_FROM - 0.5)]
    labels = labels_of(fits["pruner"])
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "PSNR over sparsity of IMP tickets, whose last round removes just as much as is wanted, and of SynFlow's"
            " masks. The dashed line is the dense prior.",
            unlike(fits, "F16"),
            psnr_notes(fits),
        ),
        summary(every, ["image", "pruner"], "minus_dense", "percent"),
        psnr_panels(every, "pruner", labels, styles(list(labels)), x="percent"),
        verdicts(frames, "levels", judged, "minus_synflow", ["image", "percent"]),
        _beside(of(every, "peak")),
        gap(frames),
    )


def _beside(peak: pd.DataFrame) -> pd.DataFrame:
    """The paper's table beside ours, and the difference of each from the dense prior."""
    rows: list[dict[str, object]] = []
    for level, numbers in paper.TABLE_4.items():
        for pruner, column in COLUMNS.items():
            own = peak[(peak["pruner"] == pruner) & ((peak["percent"] - level).abs() < 0.5)]
            gain = numbers[column] - paper.TABLE_4[0][column]
            ours = {"ours (dB)": own["psnr"].mean(), "ours less dense": own["minus_dense"].mean()}
            where = {"sparsity (%)": level, "pruner": {"imp": "LIP", "synflow": "SynFlow"}[pruner]}
            rows.append({**where, "paper (dB)": numbers[column], "paper less dense": round(gain, 2), **ours})
    return beside(rows)


def _shown(rows: pd.DataFrame) -> pd.Series:
    own = (rows["source_image"] == rows["image"]) & (rows["source_task"] == "denoise") & (rows["task"] == "denoise")
    return own & (rows["compat"] == "") & (rows["rewind"] == 0) & rows["pruner"].isin(list(COLUMNS))


def _synflow(rows: pd.DataFrame) -> pd.Series:
    return _shown(rows) & (rows["pruner"] == "synflow")
