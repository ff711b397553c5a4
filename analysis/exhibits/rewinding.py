"""Fig 9: is it better to rewind to weights from early training than to theta_0?"""

from __future__ import annotations

import pandas as pd

from analysis.claims import HARM, NO_GAIN, Claim
from analysis.exhibits.comparison import Comparison, Difference
from analysis.exhibits.rows import Rows, imp, native, pruned
from analysis.style import PRUNER_STYLES, Style

STYLES = {
    "0": PRUNER_STYLES["imp"],
    "5": Style("#fdb366", "v"),
    "10": Style("#dd3d2d", "D"),
    "20": Style("#7a0b2f", "X"),
}
"""Darker is later."""

RELEASED = "backtrack"
"""The name in `compat` of undoing steps as the released code does."""


def _shown(rows: pd.DataFrame) -> pd.Series:
    undone_as_released = native(rows.assign(compat="")) & (rows["compat"] == RELEASED)
    return (native(rows) | undone_as_released) & imp(rows)


def _rewound(rows: pd.DataFrame) -> pd.Series:
    return (rows["rewind"] > 0) & pruned(rows)


def _name_panels(scores: pd.DataFrame) -> pd.DataFrame:
    panel = scores["image"] + scores["compat"].map({"": "", RELEASED: ", as released"})
    return scores.assign(rewind_percent=scores["rewind"].map("{:g}".format), panel=panel)


def _labels(scores: pd.DataFrame) -> dict[str, str]:
    levels = [f"{rewind:g}" for rewind in sorted(scores["rewind"].unique())]
    return {level: "θ₀" if level == "0" else f"rewound to {level} %" for level in levels}


def _to(level: int, compat: str = "") -> Rows:
    return lambda scores: _rewound(scores) & (scores["rewind"] == level) & (scores["compat"] == compat)


rewinding = Comparison(
    name="rewinding",
    title="Rewinding to early training (Fig. 9)",
    about="PSNR over sparsity of IMP tickets whose weights go back to θ₀, or to their values after a percentage of the"
    " dense run's steps. The dashed line is the dense prior. Panels named `as released` undo steps as the released code"
    " does.",
    shown=_shown,
    needed=lambda rows: _shown(rows) & _rewound(rows),
    needs="rewound IMP ticket",
    prepare=_name_panels,
    differences={
        "minus_theta_0": Difference(lambda scores: scores["rewind"] == 0),
        "minus_checked": Difference(
            lambda scores: (scores["compat"] == "") & pruned(scores),
            at=("rewind", "round"),
            value="minus_theta_0",
            within_panel=False,
        ),
    },
    panel="panel",
    line="rewind_percent",
    labels=_labels,
    styles=STYLES,
    by=("image", "compat", "rewind"),
    claims=(
        Claim(
            id="rewinding_gain",
            statement="rewinding to 5 % of training gains nothing over θ₀",
            paper="rewinding gains nothing (Fig. 9)",
            statistic="PSNR less that of the ticket that starts at θ₀, at every round",
            region=NO_GAIN,
            value="minus_theta_0",
            rows=_to(5),
        ),
        Claim(
            id="rewinding_10",
            statement="rewinding to 10 % hurts",
            paper="rewinding to 10 or 20 % of training hurts or fails (Fig. 9)",
            statistic="PSNR less that of the ticket that starts at θ₀, at every round",
            region=HARM,
            value="minus_theta_0",
            rows=_to(10),
        ),
        Claim(
            id="rewinding_20",
            statement="rewinding to 20 % hurts",
            paper="rewinding to 10 or 20 % of training hurts or fails (Fig. 9)",
            statistic="PSNR less that of the ticket that starts at θ₀, at every round",
            region=HARM,
            value="minus_theta_0",
            rows=_to(20),
        ),
        Claim(
            id="rewinding_undo",
            statement="the way the released code undoes steps makes late rewinding hurt, on average over rounds",
            paper="not in the paper",
            statistic="loss by rewinding to 20 % with steps undone as released, less that without, mean over rounds",
            region=HARM,
            value="minus_checked",
            every=(),
            rows=_to(20, RELEASED),
        ),
    ),
)
