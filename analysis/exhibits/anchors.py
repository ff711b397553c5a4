"""Fits at full size beside the numbers that others have published for them."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.captions import reported_output
from analysis.exhibits.exhibit import Contents, Custom
from analysis.exhibits.scores import scores_of, task_and_factor
from analysis.frames import Frames
from analysis.panels import dot_panels
from analysis.style import assign_styles
from analysis.text import percent
from lip.ledger.schema import OUTPUTS

OURS, PUBLISHED = "ours", "published"


def _shown(rows: pd.DataFrame) -> pd.Series:
    return rows["experiment"] == "anchors"


def _make(frames: Frames) -> Contents:
    """Compare the dense prior, and tickets where a sweep has them, with published numbers."""
    fits = frames.fits[_shown(frames.fits)]
    scores = scores_of(fits, "factor").assign(what=lambda rows: rows["image"] + ", " + task_and_factor(rows))
    level = scores["round"].map(lambda k: "" if k == 0 else f", {percent(int(k)):.4g} %")
    scores = scores.assign(what=scores["what"] + level, line=OURS)
    published = pd.DataFrame(
        {"what": what, "output": anchor.output, "psnr": anchor.psnr, "seed": seed, "line": PUBLISHED}
        for what in scores["what"].unique()
        if (anchor := paper.ANCHORS.get(what))
        for seed in scores["seed"].unique()
    )
    labels = {OURS: "ours", PUBLISHED: "published"}
    return Contents(
        caption="Dense priors, and a ticket, at full size with the published settings, beside what has been published"
        f" for the same photograph, task and kind of output. {reported_output(fits)}",
        frame=_table(scores),
        figure=dot_panels(pd.concat([scores, published]), "what", "line", labels, assign_styles(list(labels))),
        fits=fits,
    )


def _table(scores: pd.DataFrame) -> pd.DataFrame:
    """List by photograph and task our PSNR of every output, and the published one with its distance."""
    means = scores.pivot_table(index="what", columns="output", values="psnr", sort=False, dropna=False)
    rows = []
    for what, ours in means[list(OUTPUTS)].iterrows():
        anchor = paper.ANCHORS.get(str(what))
        distance = ours[anchor.output] - anchor.psnr if anchor else float("nan")
        rows.append(
            {
                "what": what,
                **{f"ours, {title} (dB)": ours[output] for output, title in OUTPUTS.items()},
                "published (dB)": anchor.psnr if anchor else float("nan"),
                "of": OUTPUTS[anchor.output] if anchor else "",
                "ours less published (dB)": distance,
                "within": f"{'yes' if abs(distance) <= anchor.tolerance else 'no'} (±{anchor.tolerance:g} dB)"
                if anchor
                else "",
                "source": anchor.source if anchor else "only means over sets are published",
            }
        )
    return pd.DataFrame(rows)


anchors = Custom(
    name="anchors",
    title="Published numbers, photograph by photograph",
    needed=_shown,
    needs="fit of its own",
    make=_make,
)
