"""Fig 13: does the training loss tell, without a clean image, when to stop pruning?"""

from __future__ import annotations

from typing import Literal

import pandas as pd

from analysis import paper, stats
from analysis.exhibits.exhibit import Absent, Exhibit, caption, lacking, native
from analysis.exhibits.scores import blocks, minus, scores
from analysis.frames import Frames
from analysis.plots import OUTPUTS, stop_panels
from analysis.stats import judge

NAME, TITLE = "stop_rule", "When to stop pruning"
PATIENCE = 3
"""Rises in a row after which pruning stops; the paper says two or three."""


def stop_rule(frames: Frames) -> Exhibit | Absent:
    """Training loss and PSNR over the rounds of IMP, and the tickets that the reference-free stop rule picks."""
    if gap := lacking(frames, NAME, TITLE, lambda rows: _imp(rows) & (rows["round"] > 0), "IMP ticket"):
        return gap
    fits = frames.fits[_imp(frames.fits)]
    cell = ["image", "seed", "round"]
    every = scores(fits).merge(fits[[*cell, "loss"]], on=cell, validate="many_to_one")
    dense = every[every["round"] == 0]
    every["minus_dense"] = minus(every, dense, ["image", "seed", "output"])
    losses = fits.set_index("round").groupby(["image", "seed"])["loss"]
    picks = pd.DataFrame({pick: losses.apply(stop_round, pick=pick) for pick in ("before", "at")})
    claims = []
    for pick, where in (("before", "before the loss rises"), ("at", "at which the loss has risen")):
        rounds = picks[pick].dropna()
        picked = every.merge(rounds.rename("round").reset_index(), on=cell)
        for output in OUTPUTS:
            effects = blocks(picked[picked["output"] == output], "minus_dense", ["image"])
            claims.append(
                judge(
                    f"the ticket {where} {PATIENCE} times in a row matches the dense prior"
                    f" (within {stats.MATCHING_TOLERANCE_DB} dB)",
                    paper.STOP_RULE,
                    output,
                    effects.reindex(sorted(fits["seed"].unique())),
                    stats.MATCHING,
                    f"rounds {', '.join(f'{k:g}' for k in rounds)}" if len(rounds) else "it never stops",
                )
            )
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "Training loss (mean of a fit's last 100 steps) over the rounds of IMP, and PSNR of the averaged last"
            f" output. ▼: the ticket before the loss has risen {PATIENCE} times in a row, for each seed where it has.",
        ),
        every[[*cell, "output", "sparsity", "loss", "psnr_ema", "minus_dense"]],
        stop_panels(every[every["output"] == "last"], picks["before"]),
        claims,
    )


def stop_round(losses: pd.Series, patience: int = PATIENCE, pick: Literal["before", "at"] = "before") -> float:
    """The round to keep by the paper's rule, given the training loss by round; nan if the rule never stops.

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


def _imp(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & (rows["pruner"] == "imp") & (rows["rewind"] == 0)
