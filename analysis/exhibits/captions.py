"""Captions of exhibits, and the paper's numbers beside ours."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.exhibits.scores import published_psnr, reports_average
from analysis.frames import EXCLUDED, FAULTS, Frames
from analysis.panels import PSNR_AXIS_DB
from analysis.text import OUTPUTS, distinct_values, plural


def basis(frames: Frames, fits: pd.DataFrame) -> str:
    """Say what the numbers of an exhibit rest on: images, seeds, steps, priors, profile."""
    sizes = [f"{width}×{height}" for width, height in set(zip(fits["image_width"], fits["image_height"], strict=True))]
    size = f"{sizes[0]} pixels" if len(sizes) == 1 else f"{len(sizes)} sizes"
    names = sorted(fits["image"].unique())
    images = f"{plural(len(names), 'image')} ({', '.join(names[:4])}{', …' * (len(names) > 4)}) of {size}"
    nets = fits[["prior", "width"]].drop_duplicates().sort_values(["prior", "width"], ascending=[False, True])
    priors = ", ".join(f"{prior} of width {width}" for prior, width in nets.itertuples(index=False))
    smoke = " Numbers of the profile smoke only show that everything works." if frames.profile == "smoke" else ""
    return (
        f"{images}, {plural(fits['seed'].nunique(), 'seed')}, {distinct_values(fits['steps'])} steps, {priors},"
        f" profile {frames.profile}.{smoke}"
    )


def psnr_notes(fits: pd.DataFrame, dots: bool = False) -> str:
    """Explain panels of PSNR, lines or dots, and name fits that did not train as meant."""
    distinct = fits.drop_duplicates("fit")
    marked = {name: count for name in FAULTS if (count := int(distinct[name].sum()))}
    lost = sum(int((~np.isfinite(published_psnr(distinct, output))).sum()) for output in OUTPUTS)
    several = fits["seed"].nunique() > 1
    mean, spread = ("Dot", "bar") if dots else ("Line", "band")
    seeds = f"{mean}: mean over seeds; {spread}: one standard deviation over seeds."
    notes = [reported_output(fits), seeds if several else f"One seed, so no {spread}."]
    if marked:
        counts = ", ".join(f"{count} {name}" for name, count in marked.items())
        treated = "means include them" + ", verdicts the collapsed ones only" * bool(marked.keys() & set(EXCLUDED))
        notes.append(f"Fits that did not train as meant{' (×)' * (not dots)}: {counts}; {treated}.")
    if marked and not dots:
        notes.append(f"The axis ends {PSNR_AXIS_DB:g} dB below the dense prior; lower values are in the table.")
    if lost:
        notes.append(f"Values that are not finite: {lost}, left out.")
    return " ".join(notes)


def reported_output(fits: pd.DataFrame) -> str:
    """Say by task which output the PSNR is of: the one that the published protocol of the task reports."""
    tasks = sorted(fits["task"].unique())
    averaged, raw = (
        " and ".join(task for task in tasks if reports_average(task) == wanted) for wanted in (True, False)
    )
    if not raw:
        return "PSNR of the averaged (EMA) output."
    if not averaged:
        return "PSNR of the output as it is, not averaged, as published protocols report."
    return f"PSNR of the averaged (EMA) output for {averaged}, of the output as it is for {raw}, as published."


def other_image_note(fits: pd.DataFrame, image: str) -> str:
    """Warn if the paper's numbers beside ours are of another image; empty if they are not."""
    if fits["image"].str.contains(image).all():
        return ""
    return f"The paper's numbers are of {image} at full size: compare differences from the dense prior only."


def paper_only_note(paper_table: pd.DataFrame) -> str:
    """Warn if none of our numbers stands beside the paper's; empty if one does."""
    ours = [name for name in paper_table.columns if "ours" in str(name)]
    if paper_table[ours].notna().any(axis=None):
        return ""
    return "None of these images is in the paper, so its numbers stand alone; the profile paper has its images."


def versus_paper(rows: list[dict[str, object]], paper: str = "paper (dB)", ours: str = "ours (dB)") -> pd.DataFrame:
    """Return a table of the paper's numbers beside ours, with the difference."""
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    numbers = frame[[paper, ours]].astype("float64")
    return frame.assign(**{paper: numbers[paper], ours: numbers[ours], "difference": numbers[ours] - numbers[paper]})
