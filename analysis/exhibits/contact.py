"""Fig 17: the photographs that a sweep restores."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd

from analysis.exhibits.exhibit import SETTINGS, Absent, Exhibit, lacking, plural
from analysis.frames import Frames
from analysis.plots import Tile, sheet, short
from lip.data import images
from lip.errors import InputError

NAME, TITLE = "contact", "The photographs (Fig. 17)"
ACROSS = 8


def contact(frames: Frames) -> Exhibit | Absent:
    """All photographs, as they were before degradation; those that are not at hand any more are left out and named."""
    if absent := lacking(frames, NAME, TITLE, _photograph, "photograph", SETTINGS):
        return absent
    columns = ["image", "image_width", "image_height", "content_hash"]
    table = frames.fits.loc[_photograph(frames.fits), columns].drop_duplicates().sort_values(columns, ignore_index=True)
    found = [clean(row) for _, row in table.iterrows()]
    table["shown"] = [pixels is not None for pixels in found]
    tiles = [
        Tile(pixels, f"{short(row['image'], 18)}\n{row['image_width']}×{row['image_height']}")
        for (_, row), pixels in zip(table.iterrows(), found, strict=True)
        if pixels is not None
    ]
    if not tiles:
        return Absent(NAME, TITLE, "no photograph is at hand any more", "set LIP_DATA to the folder they lie in")
    lost = table.loc[~table["shown"], "image"].unique()
    missing = f" Not at hand: {', '.join(lost)}." if len(lost) else ""
    rows = [tiles[start : start + ACROSS] for start in range(0, len(tiles), ACROSS)]
    return Exhibit(
        NAME,
        TITLE,
        f"{plural(len(tiles), 'photograph')} before degradation, cropped and scaled as they were fitted.{missing}"
        f" Profile {frames.profile}.",
        table,
        sheet(rows, [""] * len(rows)),
    )


def clean(row: pd.Series) -> np.ndarray | None:
    """The pixels of a fit's image, if its file is still there and still the same."""
    square = row["image_width"] == row["image_height"]
    for size in (None, int(row["image_width"])) if square else (None,):
        for multiple in (32, 8, 4, 2, 1):
            with suppress(InputError):
                image = images.load(row["image"], size=size, multiple=multiple)
                if image.id == row["content_hash"]:
                    return image.pixels
    return None


def _photograph(rows: pd.DataFrame) -> pd.Series:
    return rows["task"] != "classify"
