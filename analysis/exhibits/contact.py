"""Fig 17: the photographs that a sweep restores."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd

from analysis.exhibits.exhibit import SETTINGS, Contents, Custom, MissingError
from analysis.frames import Frames
from analysis.panels import Tile, picture_sheet
from analysis.text import plural, shorten
from lip.data import images
from lip.errors import InputError

TILES_PER_ROW = 8


def _photographs(rows: pd.DataFrame) -> pd.Series:
    return rows["task"] != "classify"


def _make(frames: Frames) -> Contents:
    """Show all photographs before degradation, and name those whose file is gone."""
    columns = ["image", "image_width", "image_height", "pixels"]
    photographs = frames.fits.loc[_photographs(frames.fits), columns]
    table = photographs.drop_duplicates().sort_values(columns, ignore_index=True)
    found = [clean_image(row) for _, row in table.iterrows()]
    table["shown"] = [pixels is not None for pixels in found]
    tiles = [
        Tile(pixels, f"{shorten(row['image'], 18)}\n{row['image_width']}×{row['image_height']}")
        for (_, row), pixels in zip(table.iterrows(), found, strict=True)
        if pixels is not None
    ]
    if not tiles:
        raise MissingError("the file of no photograph is found", "set LIP_DATA to the folder of the photographs")
    lost = table.loc[~table["shown"], "image"].unique()
    missing = f" Not found: {', '.join(lost)}." if len(lost) else ""
    rows = [tiles[start : start + TILES_PER_ROW] for start in range(0, len(tiles), TILES_PER_ROW)]
    return Contents(
        caption=f"{plural(len(tiles), 'photograph')} before degradation, cropped and scaled as they were"
        f" fitted.{missing} Profile {frames.profile}.",
        frame=table,
        figure=picture_sheet(rows, [""] * len(rows)),
    )


def clean_image(row: pd.Series) -> np.ndarray | None:
    """Return the pixels of a fit's image; None unless its file is still there and still the same."""
    square = row["image_width"] == row["image_height"]
    for size in (None, int(row["image_width"])) if square else (None,):
        for multiple in (32, 8, 4, 2, 1):
            with suppress(InputError):
                image = images.load(row["image"], size=size, multiple=multiple)
                if image.id == row["pixels"]:
                    return image.pixels
    return None


contact = Custom(
    name="contact",
    title="The photographs (Fig. 17)",
    needed=_photographs,
    needs="photograph",
    apart=tuple(SETTINGS),
    experiment=None,
    make=_make,
)
