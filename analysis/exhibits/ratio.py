"""Fig 15: is it how much IMP keeps of every layer, or which weights?"""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import NEGATIVE, Claim
from analysis.exhibits.comparison import Comparison, Difference
from analysis.exhibits.rows import from_theta_0, native, pruned


def _shown(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & from_theta_0(rows) & rows["pruner"].isin(["imp", "random", "shuffled"])


def _shuffled(rows: pd.DataFrame) -> pd.Series:
    return (rows["pruner"] == "shuffled") & pruned(rows)


ratio = Comparison(
    name="ratio",
    title="Random pruning with IMP's layer-wise ratios (Fig. 15)",
    about="PSNR over sparsity of random masks that keep as many weights of every layer as IMP does, beside uniform"
    " random ones and IMP. The dashed line is the dense prior.",
    shown=_shown,
    needed=lambda rows: _shown(rows) & _shuffled(rows),
    needs="random mask with IMP's ratios",
    differences={"minus_random": Difference(lambda scores: scores["pruner"] == "random")},
    claims=(
        Claim(
            id="ratio",
            statement="random pruning with IMP's ratios is worse than uniform random pruning from 49 % on",
            paper="random masks with the layer ratios of LIP collapse earlier, from 50 % (Fig. 15)",
            statistic="PSNR less that of uniform random pruning, at every round from 3 on",
            region=NEGATIVE,
            value="minus_random",
            rows=_shuffled,
            rounds=(paper.RATIO_FROM,),
            open_ended=True,
        ),
    ),
)
