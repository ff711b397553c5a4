"""Table 1: tickets of a pre-trained generator, in compressive sensing and inpainting."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis import paper, plots
from analysis.exhibits.exhibit import Absent, Exhibit, as_in_paper, beside, caption, gap, labels_of, lacking, verdicts
from analysis.exhibits.scores import FAULT_COUNTS, minus, of
from analysis.frames import FAULTS, Frames
from analysis.plots import OUTPUTS, grid, legend, lines, look, sparsity_axis, styles
from lip.ledger.schema import AXES

NAME, TITLE = "gan", "Tickets of a pre-trained generator (Table 1)"
TASKS = {"sense": "compressive sensing", "inpaint": "inpainting"}
SHOWN = ["last", "peak"]
"""The reported outputs there are mean squared errors of: the paper's is the last."""


def gan(frames: Frames) -> Exhibit | Absent:
    """Mean squared error over sparsity of faces recovered with IMP tickets and with randomly pruned generators."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, ticket, "ticket of a generator"):
        return absent
    fits = frames.fits[shown(frames.fits)]
    every = _errors(fits)
    pruned = every[every["round"].isin(paper.GAN_ROUNDS)]
    judged = [
        verdict
        for pruner, name in (("imp", "gan_lip"), ("random", "gan_random"))
        for task in TASKS
        for rows in [pruned[(pruned["pruner"] == pruner) & (pruned["task"] == task)]]
        for verdict in verdicts(frames, f"{name}_{task}", rows, "rise", ["round", "image"], SHOWN)
    ]
    labels = labels_of(fits["pruner"])
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "Mean squared error per value of images in [-1, 1] over sparsity, of faces recovered by fitting the code of"
            " a generator whose masks are IMP's or random and that was tuned with them; the dashed line is the dense"
            " generator, tuned as well. Line: mean over seeds; band: one standard deviation over seeds.",
        ),
        _summary(every),
        _panels(every, labels),
        judged,
        _table_1(of(every, "last")),
        gap(frames),
    )


def shown(rows: pd.DataFrame) -> pd.Series:
    """Marks rounds of recoveries with generators tuned as the paper says."""
    tuned = rows["task"].isin(list(TASKS)) & (rows["source_task"] == "generate")
    return tuned & as_in_paper(rows) & rows["pruner"].isin(["imp", "random"])


def ticket(rows: pd.DataFrame) -> pd.Series:
    """Marks those with tickets of IMP."""
    return shown(rows) & (rows["pruner"] == "imp") & (rows["round"] > 0)


def _errors(fits: pd.DataFrame) -> pd.DataFrame:
    """One row per fit and output: axes, sparsity, FAULTS, mse, and its rise over the dense generator's in %."""
    common = fits[["fit", *AXES, "sparsity", *FAULTS]].astype({"round": "int64", **dict.fromkeys(FAULTS, "bool")})
    every = pd.concat([common.assign(output=output, mse=fits[f"mse_{output}"]) for output in SHOWN], ignore_index=True)
    dense = every[every["round"] == 0]
    difference = minus(every, dense, ["task", "image", "seed", "output"], "mse")
    return every.assign(rise=100 * difference / (every["mse"] - difference))


def _summary(every: pd.DataFrame) -> pd.DataFrame:
    return (
        every.groupby(["task", "pruner", "round", "output"], sort=False)
        .agg(
            sparsity=("sparsity", "mean"),
            seeds=("seed", "nunique"),
            images=("image", "nunique"),
            mse=("mse", "mean"),
            mse_std=("mse", "std"),
            rise=("rise", "mean"),
            **FAULT_COUNTS,
        )
        .reset_index()
    )


def _panels(every: pd.DataFrame, labels: dict[str, str]) -> Figure:
    of_seeds = every.groupby(["task", "pruner", "seed", "round", "output"])["mse"].mean().reset_index()
    present = [task for task in TASKS if task in set(every["task"])]
    looks = styles(list(labels))
    with look():
        figure, axes = grid(len(present), len(SHOWN), height=2.3)
        for i, task in enumerate(present):
            for j, output in enumerate(SHOWN):
                ax, rows = axes[i, j], of_seeds[(of_seeds["task"] == task) & (of_seeds["output"] == output)]
                dense = rows.loc[rows["round"] == 0, "mse"].mean()
                ax.axhline(dense, color=plots.DENSE, linewidth=1.2, linestyle=(0, (5, 3)))
                lines(ax, rows, "round", "mse", "pruner", list(labels), looks)
                sparsity_axis(ax, int(every["round"].max()))
                ax.set_title(OUTPUTS[output] if i == 0 else "")
                ax.set_xlabel("sparsity (%)" if i == len(present) - 1 else "")
            axes[i, 0].set_ylabel(f"{TASKS[task]}\nmean squared error")
        legend(figure, labels, looks, seeds=every["seed"].nunique(), dense=True)
    return figure


def _table_1(last: pd.DataFrame) -> pd.DataFrame:
    """The paper's table beside ours; its faces are of 256 pixels, its generator is a larger one."""
    rows: list[dict[str, object]] = []
    for (task, pruner), numbers in paper.TABLE_1.items():
        for round_, number in enumerate(numbers):
            own = last[(last["task"] == task) & (last["pruner"] == pruner) & (last["round"] == round_)]
            ours = {"paper (MSE)": number, "ours (MSE)": own["mse"].mean(), "ours over dense (%)": own["rise"].mean()}
            level = round(plots.percent(round_), 2)
            over = round(100 * (number / numbers[0] - 1), 1)
            where = {"task": TASKS[task], "pruner": pruner, "sparsity (%)": level, "paper over dense (%)": over}
            rows.append({**where, **ours})
    return beside(rows, "paper (MSE)", "ours (MSE)")
