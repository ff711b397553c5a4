"""Table 5: tickets of 73.79 % over the standard sets."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from analysis import paper
from analysis.claims import HERE, NEGATIVE, POSITIVE, Claim
from analysis.exhibits.comparison import MINUS_DENSE, Comparison, is_dense
from analysis.exhibits.rows import Rows, restoring_imp
from analysis.exhibits.scores import FAULT_COUNTS, select_output, task_and_factor
from analysis.panels import dot_panels
from analysis.style import PRUNER_STYLES, Style
from analysis.text import plural


def _tickets(rows: pd.DataFrame) -> pd.Series:
    return rows["round"] == paper.SETS_ROUND


def _name_groups(scores: pd.DataFrame) -> pd.DataFrame:
    what, of_set = task_and_factor(scores), scores["image"].str.split("/").str[0]
    return scores.assign(what=what, set=of_set, group=what + ", " + of_set)


def _against_other_tasks(scores: pd.DataFrame) -> pd.DataFrame:
    """Subtract from what tickets gain in super-resolution their mean gain on the other tasks, by seed and output."""
    others = scores[_tickets(scores) & (scores["task"] != "superres")]
    mean = others.groupby(["seed", "output"])["minus_dense"].mean().rename("elsewhere")
    return scores.assign(
        minus_other_tasks=scores["minus_dense"] - scores.join(mean, on=["seed", "output"])["elsewhere"]
    )


def _enlarging(scores: pd.DataFrame) -> pd.Series:
    return _tickets(scores) & (scores["task"] == "superres")


def _means(scores: pd.DataFrame) -> pd.DataFrame:
    tickets = scores[_tickets(scores)]
    return tickets.groupby(["group", "seed", "output"])["minus_dense"].mean().reset_index().assign(line="imp")


def _pairs(scores: pd.DataFrame) -> pd.DataFrame:
    dense = scores[is_dense(scores)].assign(net="dense", minus_dense=float("nan"))
    return pd.concat([dense, scores[_tickets(scores)].assign(net="ticket")])


def _table(scores: pd.DataFrame) -> pd.DataFrame:
    return (
        _pairs(scores)
        .groupby(["set", "what", "net", "output"])
        .agg(
            images=("image", "nunique"),
            seeds=("seed", "nunique"),
            psnr=("psnr", "mean"),
            psnr_ema=("psnr_ema", "mean"),
            psnr_raw=("psnr_raw", "mean"),
            minus_dense=("minus_dense", "mean"),
            **FAULT_COUNTS,
        )
        .reset_index()
    )


def _table_5(scores: pd.DataFrame) -> pd.DataFrame:
    ours = select_output(_pairs(scores), "peak").groupby(["set", "what", "net"])["psnr"].mean()
    rows = []
    for (name, what), (dense, lip, nas, isnas) in paper.TABLE_5.items():
        our_dense, our_lip = (ours.get((name, what, net), float("nan")) for net in ("dense", "ticket"))
        rows.append(
            {
                "set": name,
                "task": what,
                "DIP (paper)": dense,
                "LIP (paper)": lip,
                "NAS-DIP (paper)": nas,
                "ISNAS-DIP (paper)": isnas,
                "dense (ours)": our_dense,
                "LIP (ours)": our_lip,
                "difference, dense": our_dense - dense,
                "difference, LIP": our_lip - lip,
                "gain (paper)": round(lip - dense, 2),
                "gain (ours)": our_lip - our_dense,
            }
        )
    return pd.DataFrame(rows)


def _figure(scores: pd.DataFrame, labels: Mapping[str, str], styles: Mapping[str, Style]) -> Figure:
    return dot_panels(_means(scores), "group", "line", labels, styles, "minus_dense", "gain (dB)", zero=True)


def _columns_note(rows: pd.DataFrame) -> str:
    columns = _means(rows).groupby("group")["minus_dense"].mean()
    return f"ahead in {int((columns > 0).sum())} of {plural(len(columns), 'column')}"


def _of_group(group: str) -> Rows:
    return lambda scores: _tickets(scores) & (scores["group"] == group)


def _column(name: str, what: str) -> Claim:
    dense, lip, *_ = paper.TABLE_5[name, what]
    group = f"{what}, {name}"
    return Claim(
        id=f"sets_{name}_{what.replace(' ×', '_x')}",
        statement=f"tickets of 73.79 % beat the dense prior on {name}, {what}",
        paper=f"{lip} against {dense} dB (Table 5)",
        statistic="PSNR less that of the dense prior, mean over the images of the set",
        region=POSITIVE,
        value="minus_dense",
        rows=_of_group(group),
        cells=("image",),
        every=(),
        covers={"group": (group,)},
    )


sets = Comparison(
    name="sets",
    title="Over the standard sets (Table 5)",
    about="PSNR of IMP tickets of 73.79 % less that of the dense prior, by task and set, mean over images. In the table"
    " the paper's columns are dense, LIP, NAS-DIP and ISNAS-DIP; ours are oracle peaks.",
    shown=restoring_imp,
    needed=lambda rows: restoring_imp(rows) & _tickets(rows),
    needs="IMP ticket of 73.79 %",
    apart=("factor", "prior"),
    within=None,
    select=lambda fits: fits[fits["prior"] != "decoder"],
    also=("factor",),
    prepare=_name_groups,
    differences={"minus_dense": MINUS_DENSE},
    derive=_against_other_tasks,
    panel="group",
    line="line",
    labels={"imp": "IMP ticket less dense"},
    styles=PRUNER_STYLES,
    draw=_figure,
    table=_table,
    compare=_table_5,
    claims=(
        Claim(
            id="sets",
            statement="tickets of 73.79 % beat the dense prior on every set and task",
            paper="better than deep image prior in every column (Table 5)",
            statistic="PSNR less that of the dense prior, mean over the images of every set, for every task",
            region=POSITIVE,
            value="minus_dense",
            rows=_tickets,
            cells=("group", "image"),
            every=("group",),
            covers={"group": [f"{what}, {name}" for name, what in paper.TABLE_5]},
            note=_columns_note,
            repeats="sets_bm3d_denoise",
        ),
        *(_column(name, what) for name, what in paper.TABLE_5),
        Claim(
            id="sets_superres",
            statement="tickets of 73.79 % gain less over the dense prior in super-resolution than on the other tasks",
            paper="gains of 0.2 to 0.6 dB, against 0.2 to 1.4 dB in denoising and inpainting (Table 5)",
            statistic="gain over the dense prior less the mean gain on the other tasks, mean over images and factors",
            region=NEGATIVE,
            value="minus_other_tasks",
            rows=_enlarging,
            cells=("group", "image"),
            every=(),
            scopes=(HERE,),
        ),
    ),
)
