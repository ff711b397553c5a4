"""Table 3: a ticket with a tenth of the parameters, beside the dense prior."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import HERE, POSITIVE, Claim
from analysis.exhibits.captions import other_image_note, versus_paper
from analysis.exhibits.comparison import MINUS_DENSE, Comparison
from analysis.exhibits.rows import native_imp, pruned
from analysis.exhibits.scores import select_output
from analysis.text import percent


def _one_image(fits: pd.DataFrame) -> pd.DataFrame:
    bird = [name for name in fits["image"].unique() if "bird" in name]
    return fits[fits["image"] == (bird or sorted(fits["image"]))[0]]


def _table_3(scores: pd.DataFrame) -> pd.DataFrame:
    peak = select_output(scores, "peak")
    psnr = peak.groupby("round")["psnr"].mean()
    gain = peak.loc[peak["round"] == paper.BIRD_ROUND, "minus_dense"].mean()
    dense, ticket = paper.TABLE_3["dense"], paper.TABLE_3["ticket"]
    return versus_paper(
        [
            {"what": "dense", "paper (dB)": dense, "ours (dB)": psnr.get(0)},
            {"what": "ticket", "paper (dB)": ticket, "ours (dB)": psnr.get(paper.BIRD_ROUND)},
            {"what": "ticket less dense", "paper (dB)": ticket - dense, "ours (dB)": gain},
        ]
    )


def _about(fits: pd.DataFrame) -> str:
    level = f"{percent(paper.BIRD_ROUND):.4g} %"
    line = f"PSNR over the number of parameters kept; the claim is about {level}. The dashed line is the dense prior."
    return " ".join(filter(None, [line, other_image_note(fits, "bird")]))


bird = Comparison(
    name="bird",
    title="A tenth of the parameters (Table 3)",
    about=_about,
    shown=native_imp,
    needed=lambda rows: native_imp(rows) & pruned(rows),
    needs="IMP ticket",
    within=None,
    select=_one_image,
    differences={"minus_dense": MINUS_DENSE},
    labels={"imp": "IMP"},
    x="kept_parameters",
    by=("image",),
    compare=_table_3,
    claims=(
        Claim(
            id="bird",
            statement="a ticket with a tenth of the parameters beats the dense prior",
            paper="0.2 M parameters 30.61 dB, dense 2.2 M 30.35 dB (Table 3)",
            statistic="PSNR less that of the dense prior, at round 11",
            region=POSITIVE,
            value="minus_dense",
            rows=lambda scores: scores["round"] == paper.BIRD_ROUND,
            cells=("image",),
            every=(),
            covers={"image": ("bird",)},
            scopes=(HERE,),
        ),
    ),
)
