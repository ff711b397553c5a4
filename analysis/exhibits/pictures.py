"""Restored images for exhibits that show them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.exhibits.exhibit import MissingError
from analysis.frames import Frames
from analysis.text import percent


class Restored(NamedTuple):
    """A row of fits with its stored outputs by name (`last_ema`)."""

    row: pd.Series
    outputs: dict[str, np.ndarray]


def restored_images(frames: Frames, fits: pd.DataFrame) -> list[Restored]:
    """Return the fits whose restored images are stored, dense ones first. Raises MissingError if there is none."""
    ordered = fits.sort_values(["seed", "sparsity"])
    found = [Restored(row, frames.outputs(row["fit"])) for _, row in ordered.iterrows()]
    stored = [each for each in found if each.outputs]
    if not stored:
        raise MissingError("no restored images of its fits are stored")
    return stored


def sparsity_label(row: pd.Series) -> str:
    """Print a row's sparsity: `dense`, `83.2 %`."""
    if row["sparsity"] == 0:
        return "dense"
    exact = 100 * row["sparsity"] if pd.isna(row["round"]) else percent(int(row["round"]))
    return f"{exact:.4g} %"
