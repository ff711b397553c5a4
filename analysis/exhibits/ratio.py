"""Fig 15: is it how much IMP keeps of every layer, or which weights?"""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import EQUAL, NEGATIVE, Claim
from analysis.exhibits.comparison import Comparison, Difference
from analysis.exhibits.rows import from_theta_0, native, pruned
from analysis.stats import Region


def _shown(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & from_theta_0(rows) & rows["pruner"].isin(["imp", "random", "shuffled"])


def _shuffled(rows: pd.DataFrame) -> pd.Series:
    return (rows["pruner"] == "shuffled") & pruned(rows)


def _from_midpoint(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.assign(minus_midpoint=scores[["minus_random", "minus_imp"]].mean(axis="columns", skipna=False))


ratio = Comparison(
    name="ratio",
    title="Random pruning with IMP's layer-wise ratios (Fig. 15)",
    about="PSNR over sparsity of random masks that keep as many weights of every layer as IMP does, beside uniform"
    " random ones and IMP. The dashed line is the dense prior.",
    shown=_shown,
    needed=lambda rows: _shown(rows) & _shuffled(rows),
    needs="random mask with IMP's ratios",
    differences={
        "minus_random": Difference(lambda scores: scores["pruner"] == "random"),
        "minus_imp": Difference(lambda scores: scores["pruner"] == "imp"),
    },
    derive=_from_midpoint,
    claims=(
        Claim(
            id="ratio",
            statement="random pruning with IMP's ratios is worse than uniform random pruning from 49 to 89 %",
            paper="random masks with the layer ratios of LIP collapse earlier, between 50 and 90 % (Fig. 15)",
            statistic="PSNR less that of uniform random pruning, at every round from 3 to 10",
            region=NEGATIVE,
            value="minus_random",
            rows=_shuffled,
            rounds=paper.RATIO_ROUNDS,
        ),
        Claim(
            id="ratio_low",
            statement="random pruning with IMP's ratios equals uniform random pruning at 20 to 36 %",
            paper="random masks with the layer ratios of LIP are comparable up to 40 % (Fig. 15)",
            statistic="PSNR less that of uniform random pruning, at rounds 1 and 2",
            region=EQUAL,
            value="minus_random",
            rows=_shuffled,
            rounds=paper.RATIO_ALIKE_ROUNDS,
        ),
        Claim(
            id="ratio_imp",
            statement="random pruning with IMP's ratios is worse than IMP from 49 to 89 %",
            paper="not in the paper; if not, how much IMP keeps of every layer explains its tickets",
            statistic="PSNR less that of the IMP ticket, at every round from 3 to 10",
            region=NEGATIVE,
            value="minus_imp",
            rows=_shuffled,
            rounds=paper.RATIO_ROUNDS,
        ),
        Claim(
            id="ratio_explains",
            statement="how much IMP keeps of every layer explains at least half of its lead over random pruning, from"
            " 49 to 89 %",
            paper="that tickets keep early layers is what makes them good (Fig. 7)",
            statistic="PSNR of random masks with IMP's ratios less the mean of IMP's and uniform random ones, at every"
            " round from 3 to 10",
            region=Region(low=0),
            value="minus_midpoint",
            rows=_shuffled,
            rounds=paper.RATIO_ROUNDS,
        ),
    ),
)
