"""Fig 16: tickets trained by stochastic gradient Langevin dynamics."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import POSITIVE, Claim
from analysis.exhibits.comparison import MINUS_DENSE, Comparison, Difference, is_dense
from analysis.exhibits.exhibit import MissingError
from analysis.exhibits.rows import native_imp, pruned
from analysis.exhibits.scores import select_output, summary


def _by_langevin(fits: pd.DataFrame) -> pd.DataFrame:
    fits = fits[fits["langevin"] > 0]
    if not pruned(fits).any():
        raise MissingError("no IMP ticket of the sweep is trained by SGLD")
    return fits


def _last(scores: pd.DataFrame) -> pd.Series:
    return scores["output"] == "last"


def _with_posterior_mean(scores: pd.DataFrame) -> pd.DataFrame:
    last = select_output(scores, "last")
    mean = last.groupby(["image", "round"])[["psnr_mean", "mean_minus_dense"]].mean().reset_index()
    return summary(scores, ["image", "pruner"], "minus_dense").merge(mean, on=["image", "round"], how="left")


sgld = Comparison(
    name="sgld",
    title="Tickets trained by Langevin dynamics (Fig. 16)",
    about="PSNR over sparsity of IMP tickets, found and trained by SGLD; the dashed line is the dense prior with SGLD."
    " The table also has the PSNR of the posterior mean, of the outputs after burn-in.",
    shown=native_imp,
    needed=native_imp,
    needs="IMP ticket",
    apart=("langevin",),
    within=None,
    select=_by_langevin,
    also=("psnr_mean",),
    differences={"minus_dense": MINUS_DENSE, "mean_minus_dense": Difference(is_dense, at=(), value="psnr_mean")},
    labels={"imp": "IMP with SGLD"},
    table=_with_posterior_mean,
    claims=(
        Claim(
            id="sgld",
            statement="SGLD on tickets beats SGLD on the dense prior from 20 to 79 %",
            paper="LIP with SGLD beats SGLD on 20-79 % (Fig. 16)",
            statistic="PSNR less that of the dense prior with SGLD, at every round from 1 to 7",
            region=POSITIVE,
            rounds=paper.SGLD_ROUNDS,
            value="minus_dense",
        ),
        Claim(
            id="sgld_mean",
            statement="the posterior mean of SGLD is better on tickets than on the dense prior from 20 to 79 %",
            paper="LIP with SGLD beats SGLD on 20-79 % (Fig. 16)",
            statistic="PSNR of the mean of outputs after burn-in less that of the dense prior, at every round from 1 to"
            " 7",
            region=POSITIVE,
            rounds=paper.SGLD_ROUNDS,
            value="mean_minus_dense",
            rows=_last,
            outputs=("posterior mean",),
        ),
    ),
)
