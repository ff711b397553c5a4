"""Fig 8: faces recovered with ever sparser generators."""

from __future__ import annotations

from analysis import paper
from analysis.exhibits.exhibit import Contents, Custom
from analysis.exhibits.gan import TASKS, shown, tickets
from analysis.exhibits.pictures import restored_images, sparsity_label
from analysis.frames import FAULTS, Frames
from analysis.panels import Tile, picture_sheet
from analysis.text import PRUNER_LABELS


def _make(frames: Frames) -> Contents:
    """Show the last output for one face and seed, by task, pruner and sparsity."""
    fits = frames.fits[shown(frames.fits)]
    fits = fits[fits["round"].isin([0, *paper.GAN_ROUNDS]) & (fits["image"] == fits["image"].min())]
    fits = fits[fits["seed"] == fits["seed"].min()]
    stored = restored_images(frames, fits)
    names, rows = [], []
    for task in TASKS:
        for pruner in sorted(set(fits["pruner"])):
            tiles = [
                Tile(each.outputs["last"], f"{sparsity_label(each.row)}: {each.row['mse_last']:.4f}")
                for each in stored
                if (each.row["task"], each.row["pruner"]) == (task, pruner)
            ]
            if tiles:
                names.append(f"{TASKS[task]}\n{PRUNER_LABELS[pruner]}")
                rows.append(tiles)
    columns = ["image", "task", "pruner", "seed", "round", "sparsity", "mse_last", "mse_peak", *FAULTS]
    return Contents(
        caption="The last output for one face and one seed, over sparsity, with its mean squared error per value of"
        " images in [-1, 1]; the first one is the dense generator's, tuned as well.",
        frame=fits[columns].sort_values(["task", "pruner", "round"]).reset_index(drop=True),
        figure=picture_sheet(rows, names),
        fits=fits,
    )


recovered = Custom(
    name="recovered",
    title="Faces recovered with sparse generators (Fig. 8)",
    needed=tickets,
    needs="ticket of a generator",
    experiment="gan",
    make=_make,
)
