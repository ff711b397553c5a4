"""Fig 8: faces recovered with ever sparser generators."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import LABELS, Absent, Exhibit, caption, gap, lacking
from analysis.exhibits.gan import TASKS, shown, ticket
from analysis.exhibits.pictures import not_kept, place, restored
from analysis.frames import FAULTS, Frames
from analysis.plots import Tile, sheet

NAME, TITLE = "recovered", "Faces recovered with sparse generators (Fig. 8)"


def recovered(frames: Frames) -> Exhibit | Absent:
    """The last output of one seed for one face, by task, pruner and sparsity."""
    frames = frames.part("gan")
    if absent := lacking(frames, "gan", TITLE, ticket, "ticket of a generator"):
        return absent
    fits = frames.fits[shown(frames.fits)]
    fits = fits[fits["round"].isin([0, *paper.GAN_ROUNDS]) & (fits["image"] == fits["image"].min())]
    fits = fits[fits["seed"] == fits["seed"].min()]
    kept = restored(frames, fits)
    if not kept:
        return not_kept(frames, "gan", TITLE)
    names, rows = [], []
    for task in TASKS:
        for pruner in sorted(set(fits["pruner"])):
            own = [each for each in kept if (each.row["task"], each.row["pruner"]) == (task, pruner)]
            if own:
                names.append(f"{TASKS[task]}\n{LABELS[pruner]}")
                rows.append([Tile(each.outputs["last"], _title(each.row)) for each in own])
    columns = ["image", "task", "pruner", "seed", "round", "sparsity", "mse_last", "mse_peak", *FAULTS]
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "The last output for one face and one seed, over sparsity, with its mean squared error per value of images"
            " in [-1, 1]; the first one is the dense generator's, tuned as well.",
        ),
        fits[columns].sort_values(["task", "pruner", "round"]).reset_index(drop=True),
        sheet(rows, names),
        gap=gap(frames),
    )


def _title(row: pd.Series) -> str:
    return f"{place(row)}: {row['mse_last']:.4f}"
