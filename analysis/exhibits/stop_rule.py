"""Fig 13: does the training loss tell, without a clean image, when to stop pruning?"""

from __future__ import annotations

from typing import Literal

import pandas as pd

from analysis.exhibits.exhibit import Absent, Exhibit, as_in_paper, caption, gap, lacking, reported, values, verdicts
from analysis.exhibits.scores import minus, of, scores
from analysis.exhibits.transfer import panel
from analysis.frames import Frames
from analysis.plots import OUTPUTS, stop_panels

NAME, TITLE = "stop_rule", "When to stop pruning (Fig. 13)"
PATIENCE = 3
"""Rises in a row after which pruning stops; the paper says two or three."""


def stop_rule(frames: Frames) -> Exhibit | Absent:
    """Training loss and PSNR over the rounds of IMP, and the tickets that the reference-free stop rule picks."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, lambda rows: _imp(rows) & (rows["round"] > 0), "IMP ticket", ["factor"]):
        return absent
    fits = frames.fits[_imp(frames.fits)]
    every = scores(fits, "loss", "factor")
    every["panel"] = panel(every)
    every["minus_dense"] = minus(every, every[every["round"] == 0], ["panel", "seed", "output"])
    losses = of(every, "last").set_index("round").groupby(["panel", "seed"])["loss"]
    picks = {pick: losses.apply(stop_round, pick=pick) for pick in ("before", "at")}
    judged = []
    for pick, rounds in picks.items():
        found = rounds.dropna()
        wanted = rounds.rename("round").reset_index().merge(pd.DataFrame({"output": list(OUTPUTS)}), how="cross")
        picked = wanted.merge(every, on=["panel", "seed", "round", "output"], how="left")
        judged += verdicts(
            frames,
            f"stop_{pick}",
            picked,
            "minus_dense",
            ["panel"],
            note=f"it stops in {len(found)} of {len(rounds)} trajectories, at rounds {values(found)}",
            why="" if len(found) else "it never stops",
        )
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "Training loss (mean of a fit's last 100 steps) over the rounds of IMP, and PSNR of the last output. ▼: the"
            f" ticket before the loss has risen {PATIENCE} times in a row, for each seed where it has.",
            reported(fits),
        ),
        every[["panel", "seed", "round", "output", "sparsity", "loss", "psnr", "minus_dense"]],
        stop_panels(of(every, "last"), picks["before"]),
        judged,
        gap=gap(frames),
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
    own = (rows["source_image"] == rows["image"]) & (rows["source_task"] == rows["task"])
    scored = ~rows["task"].isin(["reconstruct", "restore"])
    return as_in_paper(rows) & own & scored & (rows["pruner"] == "imp") & (rows["rewind"] == 0)
