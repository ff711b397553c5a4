"""Fig 5: do tickets found on one restoration task work on another? And the deep decoder, of its own size."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import HERE, MATCHING, POSITIVE, Claim
from analysis.exhibits.comparison import MINUS_DENSE, Comparison, Difference
from analysis.exhibits.rows import as_in_paper, from_theta_0, imp, own_image, own_task, pruned
from analysis.exhibits.scores import task_and_factor, task_and_image
from analysis.style import PRUNER_STYLES, Style

NATIVE, DECODER = "own masks", "deep decoder"
TASKS = ("denoise", "inpaint", "superres ×4", "superres ×8")
DECODER_STYLE = Style("#111827", "D")


def _shown(rows: pd.DataFrame) -> pd.Series:
    return as_in_paper(rows) & own_image(rows) & imp(rows) & from_theta_0(rows)


def _needed(rows: pd.DataFrame) -> pd.Series:
    return _shown(rows) & ~own_task(rows) & pruned(rows)


def _name_masks(scores: pd.DataFrame) -> pd.DataFrame:
    masks = scores["source_task"].mask(own_task(scores), NATIVE).mask(_is_decoder(scores), DECODER)
    return scores.assign(panel=task_and_image(scores), what=task_and_factor(scores), masks=masks)


def _is_decoder(scores: pd.DataFrame) -> pd.Series:
    return scores["prior"] == "decoder"


def _is_native(scores: pd.DataFrame) -> pd.Series:
    return scores["masks"] == NATIVE


def _foreign(scores: pd.DataFrame) -> pd.Series:
    return ~_is_native(scores) & pruned(scores)


def _panels_a_and_g(scores: pd.DataFrame) -> pd.Series:
    a = (scores["what"] == "denoise") & scores["image"].str.contains("F16")
    g = (scores["what"] == "superres ×8") & scores["image"].str.contains("baboon")
    return _foreign(scores) & (a | g)


def _labels(scores: pd.DataFrame) -> dict[str, str]:
    return {NATIVE: NATIVE, **{task: f"masks of {task}" for task in sorted(set(scores.loc[_foreign(scores), "masks"]))}}


transfer = Comparison(
    name="transfer",
    title="Masks found on other tasks (Fig. 5)",
    about="PSNR over the number of parameters kept, with IMP masks of the task itself and of others (super-resolution:"
    " those of ×4, also at ×8), all found on the same image; the dashed line is the dense prior. The deep decoder is at"
    " its own size.",
    shown=_shown,
    needed=_needed,
    needs="ticket taken from another task",
    apart=("prior", "factor"),
    within="task",
    also=("factor",),
    prepare=_name_masks,
    marks=_is_decoder,
    differences={"minus_native": Difference(_is_native), "minus_dense": MINUS_DENSE},
    panel="panel",
    line="masks",
    labels=_labels,
    styles={NATIVE: PRUNER_STYLES["imp"], DECODER: DECODER_STYLE},
    x="kept_parameters",
    claims=(
        Claim(
            id="transfer_better",
            statement="tickets found on another task beat native ones on F16 and, at ×8, on baboon",
            paper="transferred tickets are better in panels a and g (Fig. 5)",
            statistic="PSNR less that of the native ticket, on each of the two, mean over rounds and masks",
            region=POSITIVE,
            value="minus_native",
            rows=_panels_a_and_g,
            cells=("what", "image", "masks", "round"),
            every=("what",),
            covers={"image": ("F16", "baboon")},
            scopes=(HERE,),
        ),
        Claim(
            id="transfer",
            statement="tickets found on another task match native ones",
            paper="transferred tickets are about equal to native ones (Fig. 5)",
            statistic="PSNR less that of the native ticket, on every task, with masks of every other, at every round",
            region=MATCHING,
            value="minus_native",
            rows=_foreign,
            cells=("what", "image", "masks", "round"),
            every=("what", "masks", "round"),
            covers={"what": TASKS},
        ),
        Claim(
            id="transfer_dense",
            statement="tickets found on another task match the dense prior up to 86.58 %",
            paper="transferred tickets match the dense prior (Fig. 5)",
            statistic="PSNR less that of the dense prior, on every task, with masks of every other, at every round up"
            " to 86.58 %",
            region=MATCHING,
            rounds=paper.MATCHING_ROUNDS,
            value="minus_dense",
            rows=_foreign,
            cells=("what", "image", "masks", "round"),
            every=("what", "masks", "round"),
            covers={"what": TASKS},
        ),
    ),
)
