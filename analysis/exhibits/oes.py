"""Beyond the paper: lottery image priors against Optimal Eye Surgeon (arXiv 2406.05288) on equal terms."""

from __future__ import annotations

import json

import pandas as pd

from analysis.claims import MATCHING, NEGATIVE, POSITIVE, Claim
from analysis.exhibits.comparison import Comparison, Difference, is_dense
from analysis.exhibits.rows import Rows, from_theta_0, own_image, own_task
from analysis.exhibits.scores import FAULT_COUNTS, select_output
from analysis.panels import dot_panels
from analysis.style import BROWN, DENSE_STYLE, PRUNER_STYLES, PURPLE

LABELS = {
    "dense": "dense",
    "imp": "IMP",
    "oes": "OES",
    "shuffled": "random, OES's counts per layer",
    "random": "random",
}
STYLES = {
    "dense": DENSE_STYLE,
    "imp": PRUNER_STYLES["imp"],
    "oes": PURPLE,
    "shuffled": BROWN,
    "random": PRUNER_STYLES["random"],
}
PRUNABLE = {"weights": "convolution weights", "all": "all parameters"}
"""Names of the two sets of parameters that masks may cover."""


def _shown(rows: pd.DataFrame) -> pd.Series:
    own = own_image(rows) & own_task(rows) & (rows["task"] == "denoise")
    return own & (rows["compat"] == "") & from_theta_0(rows) & rows["pruner"].isin(list(LABELS))


def _oes(rows: pd.DataFrame) -> pd.Series:
    pruned = rows["sparsity"] > 0 if "sparsity" in rows else True
    return _shown(rows) & (rows["pruner"] == "oes") & pruned


def _level(fits: pd.DataFrame) -> float:
    return float(fits.loc[_oes(fits), "sparsity"].max())


def _at_one_level(fits: pd.DataFrame) -> pd.DataFrame:
    """Select dense fits, fits at the sparsity of OES, and of shuffled masks those that shuffle masks of OES."""
    fits = fits[fits["mask_kind"].ne("shuffled") | fits["spec"].map(_shuffles_oes)]
    fits = fits[(fits["round"] == 0).fillna(False) | ((fits["sparsity"] - _level(fits)).abs() < 1e-3)]
    return fits.assign(pruner=fits["pruner"].where(fits["sparsity"] > 0, "dense")).drop_duplicates(["fit", "pruner"])


def _shuffles_oes(spec: str) -> bool:
    return json.loads(spec).get("mask", {}).get("of", {}).get("kind") == "oes"


def _is(pruner: str) -> Rows:
    return lambda scores: scores["pruner"] == pruner


def _masked_once(scores: pd.DataFrame) -> pd.Series:
    return scores["pruner"].isin(["imp", "oes"]) & (scores["output"] == "peak")


def _table(scores: pd.DataFrame) -> pd.DataFrame:
    by = ["image", "covers", "pruner"]
    gaps = select_output(scores, "peak").groupby(by)["peak_less_last"].mean()
    return (
        scores.groupby([*by, "output"])
        .agg(
            sparsity=("sparsity", "mean"),
            kept_parameters=("kept_parameters", "mean"),
            seeds=("seed", "nunique"),
            psnr=("psnr", "mean"),
            psnr_std=("psnr", "std"),
            minus_dense=("minus_dense", "mean"),
            **FAULT_COUNTS,
        )
        .join(gaps, on=by)
        .reset_index()
    )


def _about(fits: pd.DataFrame) -> str:
    return (
        f"PSNR of masks that prune {100 * _level(fits):.3g} % of what they cover: the convolutions' weights, as in LIP,"
        " or all parameters, as in OES. θ₀, code, observation and jitter are the same for all; OES searches longer than"
        " a fit takes. The gap is the oracle peak less the last output."
    )


oes = Comparison(
    name="oes",
    title="Against Optimal Eye Surgeon (beyond the paper)",
    about=_about,
    shown=_shown,
    needed=_oes,
    needs="mask of Optimal Eye Surgeon",
    apart=("covers",),
    within=None,
    select=_at_one_level,
    also=("covers",),
    prepare=lambda scores: scores.assign(prunable=scores["covers"].map(PRUNABLE)),
    differences={
        "minus_dense": Difference(is_dense, at=("covers",)),
        "minus_oes": Difference(_is("oes"), at=("covers",)),
        "minus_shuffled": Difference(_is("shuffled"), at=("covers",)),
        "gap_minus_dense": Difference(is_dense, at=("covers",), value="peak_less_last"),
    },
    labels=LABELS,
    styles=STYLES,
    draw=lambda scores, labels, styles: dot_panels(scores, "prunable", "pruner", labels, styles),
    table=_table,
    claims=(
        Claim(
            id="oes_matched",
            statement="IMP tickets match masks of Optimal Eye Surgeon of the same size",
            paper="not in the paper; Optimal Eye Surgeon (arXiv 2406.05288) calls IMP masks poor priors",
            statistic="PSNR less that of Optimal Eye Surgeon's mask, on both prunable sets",
            region=MATCHING,
            value="minus_oes",
            rows=_is("imp"),
            cells=("image", "covers"),
            every=("covers",),
        ),
        Claim(
            id="oes_counts",
            statement="Optimal Eye Surgeon beats random masks with its own counts in every layer",
            paper="not in the paper; if not, its gain is which layers it prunes",
            statistic="PSNR less that of random masks with the same counts, on both prunable sets",
            region=POSITIVE,
            value="minus_shuffled",
            rows=_is("oes"),
            cells=("image", "covers"),
            every=("covers",),
        ),
        Claim(
            id="oes_gap",
            statement="masked priors lose less after their peak than the dense one",
            paper="not in the paper; the point of Optimal Eye Surgeon",
            statistic="oracle peak less last output, minus that of the dense prior; for IMP and Optimal Eye Surgeon, on"
            " both prunable sets",
            region=NEGATIVE,
            value="gap_minus_dense",
            rows=_masked_once,
            cells=("image", "covers", "pruner"),
            every=("covers", "pruner"),
            outputs=("peak less last",),
        ),
    ),
)
