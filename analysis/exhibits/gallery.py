"""Fig 2: restored images of dense and sparse priors, side by side."""

from __future__ import annotations

import pandas as pd

from analysis import paper
from analysis.claims import HERE, POSITIVE, Claim
from analysis.exhibits.captions import paper_only_note, reported_output, versus_paper
from analysis.exhibits.exhibit import Contents, Custom
from analysis.exhibits.pictures import Restored, restored_images, sparsity_label
from analysis.exhibits.rows import Rows, restoring_imp
from analysis.exhibits.scores import (
    difference,
    published_psnr,
    reports_average,
    scores_of,
    task_and_factor,
    task_and_image,
)
from analysis.frames import Frames
from analysis.panels import Tile, picture_sheet
from analysis.stats import Region
from analysis.text import percent
from lip.ledger.schema import OUTPUTS

SHOWN = ("peak", "last")


def _make(frames: Frames) -> Contents:
    """Show restored images of one seed, at the oracle peak and at the last step."""
    all_fits = frames.fits[restoring_imp(frames.fits) & (frames.fits["prior"] != "decoder")]
    fits = all_fits
    fits = fits[fits["seed"] == fits["seed"].min()].drop_duplicates("fit")
    fits = fits.assign(panel=task_and_image(fits), label=fits.apply(sparsity_label, axis="columns"))
    stored = restored_images(frames, fits)
    names, rows = [], []
    for panel in dict.fromkeys(each.row["panel"] for each in stored):
        for output in SHOWN:
            names.append(f"{panel.replace(', ', chr(10))}\n{OUTPUTS[output]}")
            rows.append([_tile(each, output) for each in stored if each.row["panel"] == panel])
    scores = [f"{value}_{output}{ema}" for output in OUTPUTS for value in ("psnr", "ssim") for ema in ("", "_ema")]
    columns = ["panel", "image", "seed", "round", "sparsity", "kept_parameters", *scores]
    printed = _fig_2(fits)
    sentences = (
        "Outputs of the dense prior and of IMP tickets, one seed, with their PSNR: at the oracle peak, as in the paper,"
        " and at the last step.",
        reported_output(fits),
        paper_only_note(printed),
    )
    return Contents(
        caption=" ".join(filter(None, sentences)),
        frame=fits[columns].reset_index(drop=True),
        figure=picture_sheet(rows, names),
        fits=fits,
        effects=_effects(all_fits),
        paper_table=printed,
    )


def _effects(fits: pd.DataFrame) -> pd.DataFrame:
    scores = scores_of(fits, "factor")
    scores = scores.assign(what=task_and_factor(scores))
    dense = scores[scores["round"] == 0]
    return scores.assign(minus_dense=difference(scores, dense, ["what", "image", "seed", "output"]))


def _tile(each: Restored, output: str) -> Tile:
    name = f"{output}_ema" if reports_average(each.row["task"]) else output
    return Tile(each.outputs[name], f"{each.row['label']}: {each.row[f'psnr_{name}']:.2f} dB")


def _fig_2(fits: pd.DataFrame) -> pd.DataFrame:
    """Put the PSNRs printed in the paper's figure beside ours, at the same sparsity of the same image."""
    rows: list[dict[str, object]] = []
    for (image, task), (dense, tickets) in paper.FIG_2.items():
        own = fits[fits["image"].str.contains(image) & fits["panel"].str.startswith(f"{task},")]
        ours = dict(zip((100 * own["sparsity"]).round(2), published_psnr(own, "peak"), strict=True))
        for sparsity, value in {0.0: dense, **tickets}.items():
            what = f"{image}, {task}, {f'{sparsity:g} %' if sparsity else 'dense'}"
            rows.append({"what": what, "paper (dB)": value, "ours (dB)": ours.get(sparsity)})
    return versus_paper(rows)


def _of(image: str, what: str) -> Rows:
    return lambda scores: scores["image"].str.contains(image) & (scores["what"] == what)


def _printed_gain(image: str, what: str) -> Claim:
    by_level = {round(percent(k), 2): k for k in range(1, paper.FAILING_ROUND)}
    levels = sorted(by_level.keys() & paper.FIG_2[image, what][1].keys())
    printed = ", ".join(f"{level:g}" for level in levels)
    return Claim(
        id=f"fig_2_{image}",
        statement=f"tickets of {printed} % beat the dense prior on {image}, {what}",
        paper=f"the PSNRs printed in the figure at {printed} % (Fig. 2)",
        statistic="PSNR less that of the dense prior, at each of these sparsities",
        region=POSITIVE,
        rounds=tuple(by_level[level] for level in levels),
        value="minus_dense",
        rows=_of(image, what),
        covers={"image": (image,)},
        scopes=(HERE,),
    )


gallery = Custom(
    name="gallery",
    title="Restored images (Fig. 2)",
    needed=restoring_imp,
    needs="IMP trajectory",
    apart=("factor", "prior"),
    make=_make,
    claims=(
        *(_printed_gain(image, what) for image, what in paper.FIG_2),
        Claim(
            id="fig_2_fails",
            statement="tickets of 99.53 % fail on every task",
            paper="at 99.53 % 1.37 to 3.65 dB below the dense prior (Fig. 2)",
            statistic="PSNR less that of the dense prior, on every task",
            region=Region(high=-1, open=True),
            rounds=(paper.FAILING_ROUND,),
            value="minus_dense",
            cells=("what", "image"),
            every=("what",),
            covers={"what": [what for _, what in paper.FIG_2]},
        ),
    ),
)
