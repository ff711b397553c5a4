"""What an exhibit is, and what exhibits have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.frames import AXES, Frames
from analysis.plots import DEPTH, OUTPUTS, percent
from analysis.stats import Verdict
from lip.errors import InputError

SETTINGS = [
    "pixels",
    "sigma",
    "prior",
    "width",
    "scales",
    "skip",
    "depth",
    "net",
    "steps",
    "lr",
    "jitter",
    "ema",
    "backtrack",
    "covers",
    "theta_seed",
    "z_seed",
    "noise_seed",
]
"""What else may differ between fits; a figure mixes no two values of these at one point."""

LABELS = {"imp": "IMP", "random": "random", "snip": "SNIP"}


@dataclass(frozen=True)
class Exhibit:
    """A figure or table of the paper, from our own results."""

    name: str
    title: str
    caption: str
    table: pd.DataFrame
    """Tidy; PSNR in dB, sparsity as a fraction."""
    figure: Figure
    claims: list[Verdict]
    reference: pd.DataFrame | None = None
    """The paper's own numbers beside ours, where it prints some."""


@dataclass(frozen=True)
class Absent:
    """An exhibit that the sweep does not hold: why, and the command that helps."""

    name: str
    title: str
    reason: str
    remedy: str


def lacking(
    frames: Frames, name: str, title: str, needed: Callable[[pd.DataFrame], pd.Series], what: str
) -> Absent | None:
    """What stops an exhibit, if anything: `needed` marks, among rows with axes, those it cannot do without.

    Raises InputError for frames that were loaded without a sweep.
    """
    if frames.sweep is None:
        raise InputError("an exhibit is made from a sweep; load one with load(storage, sweep)")
    if frames.points[needed(frames.points)].empty:
        remedy = f"python -m sweeps run {name} --profile {frames.profile}"
        return Absent(name, title, f"the sweep has no {what}", remedy)
    if frames.fits[needed(frames.fits)].empty:
        return Absent(name, title, f"there is no {what} among the published fits", frames.command)
    rounds = frames.fits.dropna(subset="round")
    shared = rounds[rounds.duplicated(AXES, keep=False)]
    if not shared.empty:
        first = shared[(shared[AXES] == shared[AXES].iloc[0]).all(axis="columns")]
        varied = [column for column in SETTINGS if first[column].nunique(dropna=False) > 1]
        return Absent(
            name,
            title,
            f"the sweep varies {' and '.join(varied) or 'more than its axes'} within a point, which is never averaged",
            "analysis.load, then dataclasses.replace(frames, fits=...) with the fits of one setting",
        )
    return None


def native(rows: pd.DataFrame) -> pd.Series:
    """Marks denoising trajectories with masks of the image itself."""
    return denoising(rows) & (rows["source_image"] == rows["image"])


def denoising(rows: pd.DataFrame) -> pd.Series:
    """Marks whole rounds of denoising with masks found on denoising, done as the paper says."""
    as_in_paper = (rows["compat"] == "") & rows["round"].notna()
    return (rows["task"] == "denoise") & (rows["source_task"] == "denoise") & as_in_paper


def caption(frames: Frames, fits: pd.DataFrame, *sentences: str) -> str:
    """Sentences, then what the numbers rest on."""
    sizes = [f"{width}×{height}" for width, height in set(zip(fits["image_width"], fits["image_height"], strict=True))]
    size = f"{sizes[0]} pixels" if len(sizes) == 1 else f"{len(sizes)} sizes"
    basis = (
        f"{plural(fits['image'].nunique(), 'image')} of {size}, {plural(fits['seed'].nunique(), 'seed')},"
        f" {values(fits['steps'])} steps, {values(fits['prior'])} of width {values(fits['width'])},"
        f" profile {frames.profile}."
    )
    return " ".join([*sentences, basis])


def psnr_notes(fits: pd.DataFrame) -> str:
    """How to read PSNR panels, and what is unusual in them."""
    distinct = fits.drop_duplicates("fit")
    collapsed = int(distinct["collapsed"].sum())
    lost = sum(int((~np.isfinite(distinct[f"psnr_{output}_ema"])).sum()) for output in OUTPUTS)
    several = fits["seed"].nunique() > 1
    notes = [
        "PSNR of the averaged (EMA) output.",
        "Line: mean over seeds; band: one standard deviation over seeds." if several else "One seed, so no band.",
    ]
    if collapsed:
        notes.append(
            f"Collapsed fits (×): {collapsed}; means include them. The axis ends at the latest {DEPTH:g} dB below the"
            " dense prior; lower values are in the table."
        )
    if lost:
        notes.append(f"Values that are not finite: {lost}, left out.")
    return " ".join(notes)


def plural(count: int, noun: str) -> str:
    """As in `1 seed`, `3 seeds`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def span(rounds: pd.Series) -> str:
    """Measured rounds as sparsities: `20–49 %`."""
    if rounds.empty:
        return "sparsities that are not measured"
    low, high = (f"{percent(int(k)):.3g}" for k in (rounds.min(), rounds.max()))
    return f"{low} %" if low == high else f"{low}–{high} %"


def values(column: pd.Series) -> str:
    """The distinct values of a column, in order: `0, 1, 2`."""
    distinct = sorted(column.dropna().unique().tolist())
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in distinct)
