"""Beyond the paper: the effect of each deviation of the released code on Fig 3 and Table 2."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import HARM, POSITIVE, Claim
from analysis.exhibits.captions import versus_paper
from analysis.exhibits.comparison import Comparison, Difference
from analysis.exhibits.rows import Rows, from_theta_0, own_image, pruned
from analysis.exhibits.sizes import HOURGLASS
from analysis.style import PRUNER_STYLES, Style
from lip.masks import PRUNED_PER_ROUND, kept_after
from lip.specs.released import RELEASED_FLAGS
from lip.tasks import Denoise

PLAIN, RELEASED = "as the paper says", "as released"
UNMASKED = 36_992
"""Weights of the two convolutions that the released masks skip, in the paper's network."""


def _shown(rows: pd.DataFrame) -> pd.Series:
    own = own_image(rows) & (rows["task"] == "denoise")
    return own & from_theta_0(rows) & rows["pruner"].isin(["imp", "random"]) & rows["round"].notna()


def _name_defects(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.assign(
        defect=scores["compat"].replace({"": PLAIN, "+".join(Denoise.released_flags): RELEASED}),
        panel=scores["pruner"].map({"imp": "IMP", "random": "random"}) + ", " + scores["image"],
    )


def _with_defect(pruner: str, defect: str) -> Rows:
    return lambda scores: (scores["pruner"] == pruner) & (scores["defect"] == defect) & pruned(scores)


def _labels(scores: pd.DataFrame) -> dict[str, str]:
    measured = set(scores["defect"])
    single = [name for name in Denoise.released_flags if name in measured]
    return {name: name for name in (PLAIN, *single, *sorted(measured - {PLAIN, *single}))}


def _about(fits: pd.DataFrame) -> str:
    meanings = "; ".join(
        f"{name}: {RELEASED_FLAGS[name]}" for name in Denoise.released_flags if name in set(fits["compat"])
    )
    return (
        "PSNR over the sparsity that is asked for, with one thing at a time done as in the released code, and all of"
        f" them together. {meanings}. The table has the sparsity that results."
    )


def _table_2(scores: pd.DataFrame) -> pd.DataFrame:
    """Compare Table 2 with the weights that a mask keeps if it skips two layers and prunes all others alike."""
    weights, others = HOURGLASS
    return versus_paper(
        [
            {
                "network": name,
                "paper (parameters)": paper.TABLE_2[name],
                "ours (parameters)": round(UNMASKED + (weights - UNMASKED) * (1 - PRUNED_PER_ROUND) ** k),
                "with no layer skipped": kept_after(weights, k) + others,
            }
            for name, k in paper.TABLE_2_ROUNDS.items()
        ],
        "paper (parameters)",
        "ours (parameters)",
    )


compat = Comparison(
    name="compat",
    title="What the released code does to Fig. 3 and Table 2 (beyond the paper)",
    about=_about,
    shown=_shown,
    needed=lambda rows: _shown(rows) & (rows["compat"] != "") & pruned(rows),
    needs="ticket made as the released code does",
    within=None,
    prepare=_name_defects,
    differences={"minus_plain": Difference(lambda scores: scores["defect"] == PLAIN)},
    panel="panel",
    line="defect",
    labels=_labels,
    styles={PLAIN: PRUNER_STYLES["imp"], RELEASED: Style("#111827", "X")},
    by=("image", "pruner", "defect"),
    compare=_table_2,
    claims=(
        Claim(
            id="compat_double",
            statement="listing every layer twice makes released random pruning worse, on average over rounds",
            paper="not in the paper; its script prunes 36 % a round (all random curves but the GAN's)",
            statistic="PSNR of random pruning as released less without, mean over rounds",
            region=HARM,
            value="minus_plain",
            rows=_with_defect("random", "random_double"),
            cells=("image", "round"),
            every=(),
        ),
        Claim(
            id="compat_target",
            statement="tickets found on the clean image are better than those found on the observation, on average"
            " over rounds",
            paper="not in the paper; its script finds them on the clean image, the paper says on the observation",
            statistic="PSNR with masks found on the clean image less without, mean over rounds",
            region=POSITIVE,
            value="minus_plain",
            rows=_with_defect("imp", "imp_target"),
            cells=("image", "round"),
            every=(),
        ),
        Claim(
            id="compat_unmasked",
            statement="leaving two layers unmasked makes the released tickets better, on average over rounds",
            paper="not in the paper; its masks skip the convolutions that see the code",
            statistic="PSNR of tickets as released less without, mean over rounds",
            region=POSITIVE,
            value="minus_plain",
            rows=_with_defect("imp", "unmasked_first"),
            cells=("image", "round"),
            every=(),
        ),
    ),
)
