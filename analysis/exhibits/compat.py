"""Beyond the paper: what each thing that the released code does otherwise does to Fig 3 and Table 2."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import Absent, Exhibit, beside, caption, gap, lacking, psnr_notes, verdicts
from analysis.exhibits.scores import minus, scores, summary
from analysis.exhibits.sizes import HOURGLASS
from analysis.frames import Frames
from analysis.plots import PRUNERS, Style, psnr_panels, styles
from lip.masks import PRUNED_PER_ROUND, kept_after
from lip.specs.released import RELEASED_FLAGS
from lip.tasks import Denoise

NAME, TITLE = "compat", "What the released code does to Fig. 3 and Table 2 (beyond the paper)"
RELEASED = "as released"
PLAIN = "as the paper says"
UNMASKED = 36_992
"""Weights of the two convolutions that the released masks skip, in the paper's network."""

CLAIMED = {
    "compat_double": ("random", "random_double"),
    "compat_target": ("imp", "imp_target"),
    "compat_unmasked": ("imp", "unmasked_first"),
}


def compat(frames: Frames) -> Exhibit | Absent:
    """PSNR over nominal sparsity by what is done as released, and Table 2's counts."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _released, "ticket made as the released code does"):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    fits = fits.assign(
        defect=fits["compat"].map(lambda name: RELEASED if name == "+".join(Denoise.released_flags) else name or PLAIN)
    )
    every = scores(fits, "defect")
    every["panel"] = every["pruner"].map({"imp": "IMP", "random": "random"}) + ", " + every["image"]
    at = ["panel", "seed", "round", "output"]
    every["minus_plain"] = minus(every, every[every["defect"] == PLAIN], at)
    judged = []
    for name, (pruner, defect) in CLAIMED.items():
        rows = every[(every["pruner"] == pruner) & (every["defect"] == defect) & (every["round"] > 0)]
        judged += verdicts(frames, name, rows, "minus_plain", ["panel", "round"])
    measured = set(fits["defect"])
    alone = [name for name in Denoise.released_flags if name in measured]
    names = [PLAIN, *alone, *sorted(measured - {PLAIN, *alone})]
    looks = styles(names, {PLAIN: PRUNERS["imp"], RELEASED: Style("#111827", "X")})
    said = "; ".join(f"{name}: {RELEASED_FLAGS[name]}" for name in Denoise.released_flags if name in names)
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "PSNR over the sparsity that is asked for, with one thing at a time done as in the released code, and all"
            f" of them together. {said}. The table has the sparsity that comes of it.",
            psnr_notes(fits),
        ),
        summary(every, ["image", "pruner", "defect"], "minus_plain"),
        psnr_panels(every, "defect", {name: name for name in names}, looks, "panel"),
        judged,
        table_2(),
        gap(frames),
    )


def table_2() -> pd.DataFrame:
    """Table 2 beside the weights that a mask keeps which skips two layers, if every round cuts all layers alike."""
    weights, others = HOURGLASS
    rows: list[dict[str, object]] = [
        {
            "network": name,
            "paper (parameters)": paper.TABLE_2[name],
            "ours (parameters)": round(UNMASKED + (weights - UNMASKED) * (1 - PRUNED_PER_ROUND) ** k),
            "with no layer skipped": kept_after(weights, k) + others,
        }
        for name, k in paper.TABLE_2_ROUNDS.items()
    ]
    return beside(rows, "paper (parameters)", "ours (parameters)")


def _shown(rows: pd.DataFrame) -> pd.Series:
    own = (rows["source_image"] == rows["image"]) & (rows["task"] == "denoise")
    return own & (rows["rewind"] == 0) & rows["pruner"].isin(["imp", "random"]) & rows["round"].notna()


def _released(rows: pd.DataFrame) -> pd.Series:
    return _shown(rows) & (rows["compat"] != "") & (rows["round"] > 0)
