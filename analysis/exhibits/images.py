"""Fig 14: do masks found on one image serve another?"""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import EQUAL, NEGATIVE, POSITIVE, Claim
from analysis.exhibits.comparison import Comparison, Difference
from analysis.exhibits.rows import denoising, from_theta_0, imp, own_image, pruned, several_images
from analysis.exhibits.scores import is_excluded
from analysis.style import PRUNER_STYLES

NATIVE = "own masks"


def _shown(rows: pd.DataFrame) -> pd.Series:
    return denoising(rows) & imp(rows) & from_theta_0(rows)


def _foreign(rows: pd.DataFrame) -> pd.Series:
    return ~own_image(rows) & pruned(rows)


def _name_masks(scores: pd.DataFrame) -> pd.DataFrame:
    """Name masks by the image they are of, and subtract the mean PSNR with masks of single other images."""
    at = ["image", "seed", "round", "output"]
    single = scores[_single(scores)].groupby(at)["psnr"].mean().rename("single")
    return scores.assign(
        masks=scores["source_image"].mask(own_image(scores), NATIVE),
        minus_single=scores["psnr"].mask(is_excluded(scores)) - scores.join(single, on=at)["single"],
    )


def _single(scores: pd.DataFrame) -> pd.Series:
    return _foreign(scores) & ~several_images(scores)


def _several(scores: pd.DataFrame) -> pd.Series:
    return _foreign(scores) & several_images(scores)


def _labels(scores: pd.DataFrame) -> dict[str, str]:
    sources = sorted(scores.loc[~own_image(scores), "source_image"].unique())
    return {NATIVE: NATIVE, **{source: f"masks of {source}" for source in sources}}


images = Comparison(
    name="images",
    title="Masks found on other images (Fig. 14)",
    about="PSNR over sparsity with IMP masks of the image itself and of others (+: found on several together); θ₀ is"
    " that of the same seed. The dashed line is the dense prior.",
    shown=_shown,
    needed=lambda rows: _shown(rows) & _foreign(rows),
    needs="ticket taken from another image",
    prepare=_name_masks,
    differences={"minus_native": Difference(lambda scores: scores["masks"] == NATIVE)},
    line="masks",
    labels=_labels,
    styles={NATIVE: PRUNER_STYLES["imp"]},
    claims=(
        Claim(
            id="foreign_low",
            statement="tickets of another image are worse than own ones at 20 to 36 %",
            paper="foreign tickets are slightly worse at 0-40 % (Fig. 14)",
            statistic="PSNR less that of the image's own ticket, at rounds 1 and 2",
            region=NEGATIVE,
            rounds=paper.FOREIGN_LOW_ROUNDS,
            value="minus_native",
            rows=_single,
            cells=("round", "image", "masks"),
        ),
        Claim(
            id="foreign_high",
            statement="tickets of another image equal own ones from 74 % on",
            paper="about equal below 0.6 M parameters, that is from round 6 on (Fig. 14)",
            statistic="PSNR less that of the image's own ticket, at every round from 6 on",
            region=EQUAL,
            rounds=(paper.FOREIGN_HIGH_FROM,),
            open_ended=True,
            value="minus_native",
            rows=_single,
            cells=("round", "image", "masks"),
        ),
        Claim(
            id="foreign_multi_own",
            statement="tickets of several images equal own ones from 74 % on",
            paper="multi-image tickets equal the image's own (Fig. 14)",
            statistic="PSNR less that of the image's own ticket, at every round from 6 on",
            region=EQUAL,
            rounds=(paper.FOREIGN_HIGH_FROM,),
            open_ended=True,
            value="minus_native",
            rows=_several,
            cells=("round", "image", "masks"),
        ),
        Claim(
            id="foreign_multi",
            statement="tickets of several images beat those of another one from 74 % on",
            paper="multi-image tickets are the best of the foreign ones at high sparsity (Fig. 14)",
            statistic="PSNR less the mean PSNR of tickets of single other images, at every round from 6 on",
            region=POSITIVE,
            rounds=(paper.FOREIGN_HIGH_FROM,),
            open_ended=True,
            value="minus_single",
            rows=_several,
            cells=("round", "image", "masks"),
        ),
    ),
)
