"""Fig 11: PSNR and SSIM over training, of dense and sparse priors."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import HARM, HERE, MATCHING, Claim
from analysis.exhibits.exhibit import Contents, Custom
from analysis.exhibits.rows import from_theta_0, imp, native, pruned
from analysis.exhibits.scores import difference, scores_of
from analysis.frames import Frames
from analysis.panels import curve_panels
from analysis.stats import Region
from analysis.style import DENSE_STYLE, PRUNER_STYLES, assign_styles
from analysis.text import PRUNER_LABELS, percent


def _needed(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & from_theta_0(rows) & pruned(rows)


def _make(frames: Frames) -> Contents:
    """Show PSNR and SSIM over steps, at the measured sparsities nearest to 89 and 95 %."""
    fits = frames.fits[native(frames.fits) & from_theta_0(frames.fits)]
    fits = fits[fits["image"] == fits["image"].min()]
    rounds = nearest_rounds(fits.loc[pruned(fits), "round"], paper.CURVE_ROUNDS)
    sparse = fits[fits["round"].isin(rounds)]
    dense = fits[fits["round"] == 0].drop_duplicates("fit").assign(pruner="dense")
    fits = pd.concat([sparse, dense], ignore_index=True)
    curves = _curves(frames.only(fits), rounds)
    names = ["dense", *sorted(sparse["pruner"].unique())]
    return Contents(
        caption="PSNR and SSIM of the averaged output over the steps of training. Line: mean over seeds; band: one"
        " standard deviation.",
        frame=curves.groupby(["panel", "pruner", "step"])[["psnr_ema", "ssim_ema", "psnr", "ssim", "loss"]]
        .mean()
        .reset_index()
        .rename(columns={"panel": "round"}),
        figure=curve_panels(
            curves,
            {k: f"{percent(k):.3g} % pruned" for k in rounds},
            {"psnr_ema": "PSNR (dB)", "ssim_ema": "SSIM"},
            {name: PRUNER_LABELS.get(name, name) for name in names},
            assign_styles(names, {**PRUNER_STYLES, "dense": DENSE_STYLE}),
        ),
        fits=fits,
        effects=_effects(fits),
    )


def _curves(frames: Frames, rounds: list[int]) -> pd.DataFrame:
    """Return the curves, those of the dense prior in the panel of every round."""
    curves = frames.curves.astype({"seed": "int64", "round": "int64", "step": "int64"})
    dense, sparse = curves[curves["round"] == 0], curves[curves["round"] > 0]
    return pd.concat([sparse.assign(panel=sparse["round"]), *(dense.assign(panel=k) for k in rounds)])


def _effects(fits: pd.DataFrame) -> pd.DataFrame:
    scores = scores_of(fits, "ssim_last_ema")
    at = ["image", "seed", "output"]
    return scores.assign(
        minus_dense=difference(scores, scores[scores["pruner"] == "dense"], at),
        minus_snip=difference(scores, scores[scores["pruner"] == "snip"], [*at, "round"]),
        ssim_minus_snip=difference(scores, scores[scores["pruner"] == "snip"], [*at, "round"], "ssim_last_ema"),
    )


def nearest_rounds(measured: pd.Series, wanted: tuple[int, ...]) -> list[int]:
    """Return the measured rounds nearest to the wanted ones."""
    rounds = measured.unique()
    return sorted({int(min(rounds, key=lambda k: abs(k - each))) for each in wanted})


curves = Custom(
    name="curves",
    title="What happens over training (Fig. 11)",
    needed=_needed,
    needs="pruned fit",
    make=_make,
    claims=(
        Claim(
            id="curves_snip",
            statement="SNIP falls behind tickets at 89 and 95 %",
            paper="SNIP falls behind by up to 3 dB (Fig. 11)",
            statistic="PSNR of the ticket less that of SNIP, at both sparsities",
            region=Region(low=1),
            rounds=paper.CURVE_ROUNDS,
            value="minus_snip",
            rows=imp,
            scopes=(HERE,),
        ),
        Claim(
            id="curves_ssim",
            statement="SNIP falls behind tickets at 89 and 95 % in SSIM too",
            paper="SNIP falls behind by up to 0.7 SSIM (Fig. 11)",
            statistic="SSIM of the ticket's averaged last output less that of SNIP, at both sparsities",
            region=Region(low=0.1),
            unit="SSIM",
            rounds=paper.CURVE_ROUNDS,
            value="ssim_minus_snip",
            rows=lambda scores: imp(scores) & (scores["output"] == "last"),
            outputs=("SSIM",),
            scopes=(HERE,),
        ),
        Claim(
            id="curves_snip_dense",
            statement="SNIP of 89 and 95 % does not reach the dense prior",
            paper="LIP alone reaches the dense prior at the last step (Fig. 11)",
            statistic="PSNR less that of the dense prior, at both sparsities",
            region=HARM,
            rounds=paper.CURVE_ROUNDS,
            value="minus_dense",
            rows=lambda scores: scores["pruner"] == "snip",
            outputs=("last",),
            scopes=(HERE,),
        ),
        Claim(
            id="curves_random_dense",
            statement="random pruning of 89 and 95 % does not reach the dense prior",
            paper="LIP alone reaches the dense prior at the last step (Fig. 11)",
            statistic="PSNR less that of the dense prior, at both sparsities",
            region=HARM,
            rounds=paper.CURVE_ROUNDS,
            value="minus_dense",
            rows=lambda scores: scores["pruner"] == "random",
            outputs=("last",),
            scopes=(HERE,),
        ),
        Claim(
            id="curves_dense",
            statement="tickets of 89 and 95 % reach the dense prior",
            paper="LIP alone reaches the dense prior at the last step (Fig. 11)",
            statistic="PSNR less that of the dense prior, at both sparsities",
            region=MATCHING,
            rounds=paper.CURVE_ROUNDS,
            value="minus_dense",
            rows=imp,
            scopes=(HERE,),
        ),
    ),
)
