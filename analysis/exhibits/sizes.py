"""Table 2: tickets exactly as large as a deep decoder, against it; and the paper's counts beside exact ones."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import POSITIVE, Claim
from analysis.exhibits.captions import versus_paper
from analysis.exhibits.comparison import Comparison, Difference
from analysis.exhibits.rows import from_theta_0, imp, own_image, own_task
from analysis.exhibits.scores import task_and_factor, task_and_image
from analysis.exhibits.transfer import DECODER_STYLE
from analysis.panels import dot_panels
from analysis.style import DENSE_STYLE, PRUNER_STYLES
from lip.masks import kept_after

HOURGLASS = (2_208_768, 9_063)
"""The paper's network: weights that masks cover, and all other parameters."""


def _shown(rows: pd.DataFrame) -> pd.Series:
    return own_image(rows) & own_task(rows) & (rows["compat"] == "") & imp(rows) & from_theta_0(rows)


def _decoder(rows: pd.DataFrame) -> pd.Series:
    if "prior" in rows:
        return _shown(rows) & (rows["prior"] == "decoder")
    single = rows.groupby("trajectory")["fit"].transform("size") == 1  # planned points do not name the prior
    return _shown(rows) & single


def _of_decoder_size(scores: pd.DataFrame) -> pd.DataFrame:
    """Name dense priors, decoders and tickets; keep tickets within 2 % of the decoder's number of parameters."""
    scores = scores.assign(panel=task_and_image(scores), what=task_and_factor(scores), net="ticket")
    scores.loc[scores["round"] == 0, "net"] = "dense"
    scores.loc[scores["prior"] == "decoder", "net"] = "decoder"
    sizes = scores[scores["net"] == "decoder"].groupby("panel")["kept_parameters"].median()
    near = (scores["kept_parameters"] / scores["panel"].map(sizes) - 1).abs() <= 0.02
    return scores[((scores["net"] != "ticket") | near) & scores["panel"].isin(sizes.index)]


def _table_2(scores: pd.DataFrame) -> pd.DataFrame:
    """Put the paper's counts of parameters beside exact ones."""
    weights, others = HOURGLASS
    rows: list[dict[str, object]] = []
    for name, count in paper.TABLE_2.items():
        ours = float("nan")
        if name.startswith("deep decoder"):
            width = int(name.split()[-1])
            ours = 6 * width**2 + 15 * width
        elif k := paper.TABLE_2_ROUNDS.get(name):
            ours = kept_after(weights, k) + others
        rows.append({"network": name, "paper (parameters)": count, "ours (parameters)": ours})
    return versus_paper(rows, "paper (parameters)", "ours (parameters)")


sizes = Comparison(
    name="sizes",
    title="As large as a deep decoder (Table 2)",
    about="PSNR by task of IMP tickets cut to the number of parameters of a deep decoder (within 2 %), of that decoder,"
    " and of the dense prior. The paper's own counts belong to no round: they are what a mask keeps that skips two"
    " layers.",
    shown=_shown,
    needed=_decoder,
    needs="deep decoder",
    apart=("prior", "factor"),
    within=None,
    also=("factor",),
    prepare=_of_decoder_size,
    differences={"minus_decoder": Difference(lambda scores: scores["net"] == "decoder", at=())},
    panel="panel",
    line="net",
    labels={"dense": "dense", "ticket": "IMP ticket of the decoder's size", "decoder": "deep decoder"},
    styles={"dense": DENSE_STYLE, "ticket": PRUNER_STYLES["imp"], "decoder": DECODER_STYLE},
    draw=lambda scores, labels, styles: dot_panels(scores, "panel", "net", labels, styles),
    compare=_table_2,
    claims=(
        Claim(
            id="sizes",
            statement="tickets beat the deep decoder at its number of parameters",
            paper="LIP beats the deep decoder at equal size (Table 2, Fig. 5)",
            statistic="PSNR less that of the deep decoder, on every task",
            region=POSITIVE,
            value="minus_decoder",
            rows=lambda scores: scores["net"] == "ticket",
            cells=("what", "image"),
            every=("what",),
        ),
    ),
)
