"""Table 4: tickets against SynFlow at sparsities that are not rounds of IMP."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import EQUAL, MATCHING, POSITIVE, Claim
from analysis.exhibits.captions import other_image_note, versus_paper
from analysis.exhibits.comparison import MINUS_DENSE, Comparison, Difference
from analysis.exhibits.rows import from_theta_0, own_image, own_task
from analysis.exhibits.scores import select_output

COLUMNS = {"imp": (0, "LIP"), "synflow": (1, "SynFlow")}
"""A pruner's column in the paper's table, and its name there."""


def _shown(rows: pd.DataFrame) -> pd.Series:
    own = own_image(rows) & own_task(rows) & (rows["task"] == "denoise")
    return own & (rows["compat"] == "") & from_theta_0(rows) & rows["pruner"].isin(list(COLUMNS))


def _synflow(rows: pd.DataFrame) -> pd.Series:
    return rows["pruner"] == "synflow"


def _tickets(scores: pd.DataFrame) -> pd.Series:
    return scores["pruner"] == "imp"


def _judged(scores: pd.DataFrame) -> pd.Series:
    return _tickets(scores) & (scores["percent"] >= 100 * paper.SYNFLOW_FROM - 0.5)


def _table_4(scores: pd.DataFrame) -> pd.DataFrame:
    """Put the paper's table beside ours, with each one's difference from the dense prior."""
    peak = select_output(scores, "peak")
    rows: list[dict[str, object]] = []
    for level, numbers in paper.TABLE_4.items():
        for pruner, (column, name) in COLUMNS.items():
            ours = peak[(peak["pruner"] == pruner) & ((peak["percent"] - level).abs() < 0.5)]
            rows.append(
                {
                    "sparsity (%)": level,
                    "pruner": name,
                    "paper (dB)": numbers[column],
                    "paper less dense": round(numbers[column] - paper.TABLE_4[0][column], 2),
                    "ours (dB)": ours["psnr"].mean(),
                    "ours less dense": ours["minus_dense"].mean(),
                }
            )
    return versus_paper(rows)


def _about(fits: pd.DataFrame) -> str:
    masks = "PSNR over sparsity of IMP tickets, whose last round prunes exactly to a level, and of SynFlow's masks."
    return " ".join(filter(None, [masks, "The dashed line is the dense prior.", other_image_note(fits, "F16")]))


levels = Comparison(
    name="levels",
    title="Against SynFlow (Table 4)",
    about=_about,
    shown=_shown,
    needed=lambda rows: _shown(rows) & _synflow(rows),
    needs="SynFlow mask",
    prepare=lambda scores: scores.assign(percent=(100 * scores["sparsity"]).round(2)),
    differences={
        "minus_dense": MINUS_DENSE,
        "minus_synflow": Difference(_synflow, at=("percent",)),
        "minus_ticket": Difference(_tickets, at=("percent",)),
    },
    x="percent",
    compare=_table_4,
    claims=(
        Claim(
            id="levels",
            statement="tickets beat SynFlow from 60 % on",
            paper="31.13 against 30.59 dB at 60 %, 30.91 against 28.98 dB at 90 % (Table 4)",
            statistic="PSNR less that of SynFlow, at every level from 60 to 90 %",
            region=POSITIVE,
            value="minus_synflow",
            rows=_judged,
            cells=("image", "percent"),
            every=("percent",),
        ),
        Claim(
            id="levels_20",
            statement="SynFlow equals tickets at 20 %",
            paper="31.05 against 31.15 dB at 20 % (Table 4)",
            statistic="PSNR of SynFlow less that of the ticket, at 20 %",
            region=EQUAL,
            value="minus_ticket",
            rows=lambda scores: _synflow(scores) & ((scores["percent"] - 20).abs() < 0.5),
            cells=("image",),
            every=(),
        ),
        Claim(
            id="levels_dense",
            statement="tickets match the dense prior up to 80 %",
            paper="31.03 dB at 80 %, dense 31.06 dB (Table 4)",
            statistic="PSNR less that of the dense prior, at every level from 20 to 80 %",
            region=MATCHING,
            value="minus_dense",
            rows=lambda scores: _tickets(scores) & scores["percent"].between(19.5, 80.5),
            cells=("image", "percent"),
            every=("percent",),
        ),
    ),
)
