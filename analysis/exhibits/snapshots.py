"""Fig 12: what a prior restores early in training and what late."""

from __future__ import annotations

import pandas as pd

from analysis.exhibits.exhibit import Absent, Exhibit, as_in_paper, caption, gap, lacking
from analysis.exhibits.pictures import not_kept, place, restored
from analysis.frames import Frames
from analysis.plots import Tile, sheet

NAME, TITLE = "snapshots", "Outputs over the course of training (Fig. 12)"


def snapshots(frames: Frames) -> Exhibit | Absent:
    """Averaged outputs of one seed at a few steps, of the dense prior and of the sparsest ticket kept."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _imp, "IMP trajectory"):
        return absent
    fits = frames.fits[_imp(frames.fits)]
    fits = fits[fits["seed"] == fits["seed"].min()].drop_duplicates("fit")
    shown = restored(frames, fits)
    if not shown:
        return not_kept(frames, NAME, TITLE)
    names, rows = [], []
    for (image, task), _ in fits.groupby(["image", "task"], sort=False):
        own = [each for each in shown if each.row["image"] == image and each.row["task"] == task]
        for each in [own[0], own[-1]] if len(own) > 1 else own:
            steps = sorted(int(key.split("_")[1]) for key in each.outputs if key.startswith("step_"))
            tiles = [Tile(each.outputs[f"step_{step}_ema"], f"step {step}") for step in steps]
            names.append(f"{image}, {task}\n{place(each.row)}")
            rows.append([*tiles, Tile(each.outputs["last_ema"], f"step {each.row['steps']}")])
    columns = ["image", "task", "seed", "round", "sparsity", "steps", "psnr_peak_ema", "step_peak_ema", "psnr_last_ema"]
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "Averaged outputs on the way, of the dense prior and of an IMP ticket. For `restore` the image is itself"
            " what is damaged, so that there is no PSNR.",
        ),
        fits[columns].reset_index(drop=True),
        sheet(rows, names),
        gap=gap(frames),
    )


def _imp(rows: pd.DataFrame) -> pd.Series:
    own = (rows["source_image"] == rows["image"]) & (rows["source_task"] == rows["task"])
    shown = rows["task"].isin(["denoise", "restore"])
    return as_in_paper(rows) & own & shown & (rows["pruner"] == "imp") & (rows["rewind"] == 0)
