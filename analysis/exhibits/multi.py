"""Fig 4: tickets of several images fitted together, used on one of them and on one that is not among them."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import MATCHING, POSITIVE, Claim
from analysis.exhibits.comparison import MINUS_DENSE, Comparison, Difference
from analysis.exhibits.rows import denoising, from_theta_0, own_image, pruned, several_images
from analysis.style import PRUNER_STYLES, PURPLE


def _shown(rows: pd.DataFrame) -> pd.Series:
    imp = (rows["pruner"] == "imp") & (own_image(rows) | several_images(rows))
    return denoising(rows) & from_theta_0(rows) & (imp | (rows["pruner"] == "random"))


def _needed(rows: pd.DataFrame) -> pd.Series:
    return _shown(rows) & several_images(rows) & pruned(rows)


def _name_masks(scores: pd.DataFrame) -> pd.DataFrame:
    own = scores["pruner"].map({"imp": "own", "random": "random"})
    return scores.assign(masks=own.mask(~own_image(scores), "several"))


def _tickets(scores: pd.DataFrame) -> pd.Series:
    return (scores["masks"] == "several") & pruned(scores)


def _about(fits: pd.DataFrame) -> str:
    sources = sorted(fits.loc[_needed(fits), "source_image"].unique())
    return (
        f"PSNR over sparsity with IMP masks found on {' and '.join(sources)} together, with the image's own and with"
        " random ones. With one code for all images this fits their mean. The paper's faces are not published, so its"
        " comparison within one domain is missing."
    )


multi = Comparison(
    name="multi",
    title="Tickets of several images (Fig. 4)",
    about=_about,
    shown=_shown,
    needed=_needed,
    needs="ticket of several images",
    prepare=_name_masks,
    differences={
        "minus_own": Difference(lambda scores: scores["masks"] == "own"),
        "minus_random": Difference(lambda scores: scores["masks"] == "random"),
        "minus_dense": MINUS_DENSE,
    },
    line="masks",
    labels={"own": "own tickets", "several": "tickets of several images", "random": "random"},
    styles={"own": PRUNER_STYLES["imp"], "several": PURPLE, "random": PRUNER_STYLES["random"]},
    claims=(
        Claim(
            id="multi_dense",
            statement="tickets of several images beat the dense prior up to 86.58 %",
            paper="across domains, multi-image tickets beat the dense prior (Fig. 4)",
            statistic="PSNR less that of the dense prior, at every round up to 86.58 %",
            region=POSITIVE,
            rounds=paper.MATCHING_ROUNDS,
            value="minus_dense",
            rows=_tickets,
        ),
        Claim(
            id="multi_random",
            statement="tickets of several images beat random pruning from 20 to 96 %",
            paper="across domains, multi-image tickets beat random pruning (Fig. 4)",
            statistic="PSNR less that of random pruning, at every round from 1 to 14",
            region=POSITIVE,
            rounds=paper.BEATS_ROUNDS,
            value="minus_random",
            rows=_tickets,
        ),
        Claim(
            id="multi_own",
            statement="tickets of several images match an image's own up to 86.58 %",
            paper="they equal the image's own tickets (Fig. 4)",
            statistic="PSNR less that of the image's own ticket, at every round up to 86.58 %",
            region=MATCHING,
            rounds=paper.MATCHING_ROUNDS,
            value="minus_own",
            rows=_tickets,
        ),
        Claim(
            id="multi_extreme",
            statement="tickets of several images beat an image's own from 94.5 % on",
            paper="and are better at extreme sparsity (Fig. 4)",
            statistic="PSNR less that of the image's own ticket, at every round from 13 on",
            region=POSITIVE,
            rounds=(paper.EXTREME_FROM,),
            open_ended=True,
            value="minus_own",
            rows=_tickets,
        ),
    ),
)
