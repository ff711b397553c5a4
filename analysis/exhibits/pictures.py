"""Restored images for exhibits that show them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.exhibits.exhibit import Absent
from analysis.frames import Frames
from analysis.plots import percent


class Restored(NamedTuple):
    """A row of fits with what is kept of its outputs, by name (`last_ema`)."""

    row: pd.Series
    outputs: dict[str, np.ndarray]


def restored(frames: Frames, fits: pd.DataFrame) -> list[Restored]:
    """Fits whose restored images are kept, dense ones first."""
    ordered = fits.sort_values(["seed", "sparsity"])
    every = [Restored(row, frames.outputs(row["fit"])) for _, row in ordered.iterrows()]
    return [each for each in every if each.outputs]


def not_kept(frames: Frames, name: str, title: str) -> Absent:
    """Return the reason to show when none are."""
    return Absent(name, title, "no restored images are kept of its fits", frames.command_for(name))


def place(row: pd.Series) -> str:
    """A row's sparsity, in words: `dense`, `83.2 %`."""
    if row["sparsity"] == 0:
        return "dense"
    exact = 100 * row["sparsity"] if pd.isna(row["round"]) else percent(int(row["round"]))
    return f"{exact:.4g} %"
