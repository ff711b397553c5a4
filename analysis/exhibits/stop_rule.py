"""Fig 13: does the training loss tell, without a clean image, when to stop pruning?"""

from __future__ import annotations

from typing import Literal

import pandas as pd

from analysis.claims import MATCHING, Claim
from analysis.exhibits.captions import reported_output
from analysis.exhibits.exhibit import Contents, Custom
from analysis.exhibits.rows import Rows, pruned, restoring_imp
from analysis.exhibits.scores import difference, scores_of, select_output, task_and_factor, task_and_image
from analysis.frames import Frames
from analysis.panels import stop_panels
from analysis.text import distinct_values
from lip.ledger.schema import OUTPUTS

PATIENCE = 3
"""Rises in a row after which pruning stops; the paper says two or three."""


def stop_round(losses: pd.Series, patience: int = PATIENCE, pick: Literal["before", "at"] = "before") -> float:
    """Return the round to keep by the paper's rule, given the training loss by round; nan if the rule never stops.

    Pruning stops `at` the round at which the loss has risen `patience` times in a row; the round `before` is the last
    one before these rises.
    """
    losses = losses.sort_index()
    rises = 0
    for previous, k in zip(losses.index, losses.index[1:], strict=False):
        rises = rises + 1 if losses[k] > losses[previous] else 0
        if rises == patience:
            return float(k if pick == "at" else k - patience)
    return float("nan")


def _make(frames: Frames) -> Contents:
    """Show training loss and PSNR over rounds, and the tickets that the rule picks."""
    fits = frames.fits[restoring_imp(frames.fits)]
    scores = scores_of(fits, "loss", "factor")
    scores = scores.assign(panel=task_and_image(scores), what=task_and_factor(scores))
    scores["minus_dense"] = difference(scores, scores[scores["round"] == 0], ["panel", "seed", "output"])
    losses = select_output(scores, "last").set_index("round").groupby(["panel", "seed"])["loss"]
    picks = {pick: losses.apply(stop_round, pick=pick) for pick in ("before", "at")}
    picked = [_picked(scores, rounds).assign(pick=pick) for pick, rounds in picks.items()]
    return Contents(
        caption="Training loss (mean of a fit's last 100 steps) over the rounds of IMP, and PSNR of the last output. ▼:"
        f" the ticket before the loss has risen {PATIENCE} times in a row, for each seed where it has."
        f" {reported_output(fits)}",
        frame=scores[["panel", "seed", "round", "output", "sparsity", "loss", "psnr", "minus_dense"]],
        figure=stop_panels(select_output(scores, "last"), picks["before"]),
        fits=fits,
        effects=pd.concat(picked, ignore_index=True),
    )


def _picked(scores: pd.DataFrame, rounds: pd.Series) -> pd.DataFrame:
    """Return the scores at each trajectory's picked round; values are nan where the rule never stops."""
    wanted = rounds.rename("round").reset_index().merge(pd.DataFrame({"output": list(OUTPUTS)}), how="cross")
    wanted = wanted.merge(scores[["panel", "what", "image"]].drop_duplicates(), on="panel")
    return wanted.merge(scores, on=["panel", "what", "image", "seed", "round", "output"], how="left")


def _note(rows: pd.DataFrame) -> str:
    found = rows["round"].dropna()
    return f"it stops in {len(found)} of {len(rows)} trajectories, at rounds {distinct_values(found)}"


def _never_stops(rows: pd.DataFrame) -> str:
    return "it never stops" if rows["round"].isna().all() else ""


def _pick(pick: str) -> Rows:
    return lambda rows: rows["pick"] == pick


stop_rule = Custom(
    name="stop_rule",
    title="When to stop pruning (Fig. 13)",
    needed=lambda rows: restoring_imp(rows) & pruned(rows),
    needs="IMP ticket",
    apart=("factor",),
    make=_make,
    claims=(
        Claim(
            id="stop_before",
            statement="the ticket before the loss rises three times in a row matches the dense prior",
            paper="once the loss has risen two or three times in a row, the matching ticket is found (Fig. 13)",
            statistic="PSNR of the ticket that the rule picks less that of the dense prior, on every task",
            region=MATCHING,
            value="minus_dense",
            rows=_pick("before"),
            cells=("what", "image"),
            every=("what",),
            note=_note,
            unless=_never_stops,
        ),
        Claim(
            id="stop_at",
            statement="the ticket at which the loss has risen three times in a row matches the dense prior",
            paper="once the loss has risen two or three times in a row, the matching ticket is found (Fig. 13)",
            statistic="PSNR of the ticket that the rule picks less that of the dense prior, on every task",
            region=MATCHING,
            value="minus_dense",
            rows=_pick("at"),
            cells=("what", "image"),
            every=("what",),
            note=_note,
            unless=_never_stops,
        ),
    ),
)
