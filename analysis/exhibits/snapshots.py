"""Fig 12: what a prior restores early in training and what late."""

from __future__ import annotations

import pandas as pd

from analysis.exhibits.exhibit import Contents, Custom
from analysis.exhibits.pictures import Restored, restored_images, sparsity_label
from analysis.exhibits.rows import as_in_paper, from_theta_0, imp, own_image, own_task
from analysis.frames import Frames
from analysis.panels import Tile, picture_sheet


def _shown(rows: pd.DataFrame) -> pd.Series:
    own = own_image(rows) & own_task(rows) & rows["task"].isin(["denoise", "restore"])
    return as_in_paper(rows) & own & imp(rows) & from_theta_0(rows)


def _make(frames: Frames) -> Contents:
    """Show outputs of one seed over steps, of the dense prior and of the sparsest stored ticket."""
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["seed"] == fits["seed"].min()].drop_duplicates("fit")
    stored = restored_images(frames, fits)
    names, rows = [], []
    for (image, task), _ in fits.groupby(["image", "task"], sort=False):
        own = [each for each in stored if each.row["image"] == image and each.row["task"] == task]
        for each in [own[0], own[-1]] if len(own) > 1 else own:
            names.append(f"{image}, {task}\n{sparsity_label(each.row)}")
            rows.append(_tiles(each))
    columns = ["image", "task", "seed", "round", "sparsity", "steps", "psnr_peak_ema", "step_peak_ema", "psnr_last_ema"]
    return Contents(
        caption="Averaged outputs during training, of the dense prior and of an IMP ticket. For `restore` the image"
        " itself is damaged, so there is no PSNR.",
        frame=fits[columns].reset_index(drop=True),
        figure=picture_sheet(rows, names),
        fits=fits,
    )


def _tiles(each: Restored) -> list[Tile]:
    steps = sorted(int(key.split("_")[1]) for key in each.outputs if key.startswith("step_"))
    tiles = [Tile(each.outputs[f"step_{step}_ema"], f"step {step}") for step in steps]
    return [*tiles, Tile(each.outputs["last_ema"], f"step {each.row['steps']}")]


snapshots = Custom(
    name="snapshots",
    title="Outputs over the course of training (Fig. 12)",
    needed=_shown,
    needs="IMP trajectory",
    make=_make,
)
