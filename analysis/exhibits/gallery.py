"""Fig 2: restored images of dense and sparse priors, side by side."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.exhibits.exhibit import Absent, Exhibit, alone, as_in_paper, beside, caption, gap, lacking, reported
from analysis.exhibits.pictures import not_kept, place, restored
from analysis.exhibits.scores import averages, published
from analysis.exhibits.transfer import panel
from analysis.frames import Frames
from analysis.plots import OUTPUTS, Tile, sheet

NAME, TITLE = "gallery", "Restored images (Fig. 2)"
SHOWN = ("peak", "last")


def gallery(frames: Frames) -> Exhibit | Absent:
    """Restored images of one seed by task and sparsity, at the oracle peak as in the paper and at the last step."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _imp, "IMP trajectory", ["factor", "prior"]):
        return absent
    fits = frames.fits[_imp(frames.fits) & (frames.fits["prior"] != "decoder")]
    fits = fits[fits["seed"] == fits["seed"].min()].drop_duplicates("fit")
    fits = fits.assign(panel=panel(fits), place=fits.apply(place, axis="columns"))
    shown = restored(frames, fits)
    if not shown:
        return not_kept(frames, NAME, TITLE)
    names, rows = [], []
    for name in dict.fromkeys(fits["panel"]):
        own = [each for each in shown if each.row["panel"] == name]
        for output in SHOWN if own else ():
            names.append(f"{name.replace(', ', chr(10))}\n{OUTPUTS[output]}")
            rows.append(
                [
                    Tile(each.outputs[name], f"{each.row['place']}: {each.row[f'psnr_{name}']:.2f} dB")
                    for each in own
                    for name in [f"{output}_ema" if averages(each.row["task"]) else output]
                ]
            )
    scores = [f"{value}_{output}{ema}" for output in OUTPUTS for value in ("psnr", "ssim") for ema in ("", "_ema")]
    reference = _beside(fits)
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "Outputs of the dense prior and of IMP tickets, one seed, with their PSNR: at the oracle peak, which the"
            " paper's figure shows, and at the last step.",
            reported(fits),
            alone(reference["ours (dB)"]),
        ),
        fits[["panel", "image", "seed", "round", "sparsity", "kept_parameters", *scores]].reset_index(drop=True),
        sheet(rows, names),
        reference=reference,
        gap=gap(frames),
    )


def _beside(fits: pd.DataFrame) -> pd.DataFrame:
    """The PSNRs printed in the paper's figure beside ours, at the same sparsity of the same image."""
    rows: list[dict[str, object]] = []
    for (image, task), (dense, tickets) in paper.FIG_2.items():
        own = fits[fits["image"].str.contains(image) & fits["panel"].str.startswith(f"{task},")]
        ours = dict(zip((100 * own["sparsity"]).round(2), published(own, "peak"), strict=True))
        for sparsity, value in {0.0: dense, **tickets}.items():
            where = f"{image}, {task}, {f'{sparsity:g} %' if sparsity else 'dense'}"
            rows.append({"what": where, "paper (dB)": value, "ours (dB)": ours.get(sparsity)})
    return beside(rows)


def _imp(rows: pd.DataFrame) -> pd.Series:
    own = (rows["source_image"] == rows["image"]) & (rows["source_task"] == rows["task"])
    scored = ~rows["task"].isin(["reconstruct", "restore"])
    return as_in_paper(rows) & own & scored & (rows["pruner"] == "imp") & (rows["rewind"] == 0)
