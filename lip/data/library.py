"""The inputs of fits, each loaded and prepared once, by content hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lip.data import datasets, images, inpaint_mask
from lip.data.checkpoints import Checkpoint, read
from lip.data.faces import Faces
from lip.data.faces import load as load_faces
from lip.errors import InputError
from lip.specs.picture import DataSet, HalfPixel, Picture


class InputLibrary:
    """Load and prepare every input once. `data` is the folder of the standard sets."""

    def __init__(self, data: Path | None = None) -> None:
        self.data = data
        self._images: dict[tuple[Any, ...], images.Image] = {}
        self._sets: dict[tuple[str, int], datasets.Data] = {}
        self._faces: dict[tuple[str, int, float, float], Faces] = {}
        self._checkpoints: dict[str, Checkpoint] = {}

    def picture(self, name: str, size: int | None, multiple: int, half_pixel: HalfPixel = "down") -> Picture:
        """Load a photograph, cut to `size` if given and to multiples of `multiple`. Raises InputError."""
        key = (name, size, multiple, half_pixel)
        if key not in self._images:
            self._images[key] = images.load(name, size=size, multiple=multiple, half_pixel=half_pixel, data=self.data)
        return self._images[key].spec

    def mask(
        self, name: str, of: Picture, size: int | None, multiple: int, half_pixel: HalfPixel, invert: bool
    ) -> Picture:
        """Load the inpainting mask of a photograph: a file, or `text`, drawn at its size.

        `of` is the photograph as it was given for the same size and multiple. Raises InputError.
        """
        key = ("mask", name, of.name, of.height, of.width, size, multiple, half_pixel, invert)
        if key not in self._images:
            if name == "text":
                known = inpaint_mask.text(of.height, of.width)
                self._images[key] = inpaint_mask.prepared(name, ~known if invert else known, [])
            else:
                whole = next(
                    one.whole for one in self._images.values() if (one.name, one.id) == (of.name, of.content_hash)
                )
                self._images[key] = inpaint_mask.load(
                    name,
                    inpaint_mask.Photograph(of.name, *(whole or (of.height, of.width))),
                    size=size,
                    multiple=multiple,
                    half_pixel=half_pixel,
                    invert=invert,
                    data=self.data,
                )
        return self._images[key].spec

    def data_set(self, name: str, size: int) -> DataSet:
        """Load a data set, its pictures square with sides of `size` pixels. Raises InputError."""
        key = (name, size)
        if key not in self._sets:
            self._sets[key] = datasets.load(name, size, self.data)
        return self._sets[key].spec

    def faces(self, name: str, size: int, share: float, crop: float) -> Picture:
        """Load the faces of a folder that generators are trained on. Raises InputError."""
        found = self._folder(name, size, share, crop)
        height, width, channels = found.tuning.shape[1:]
        return Picture(name=name, content_hash=found.id, height=height, width=width, channels=channels)

    def held_out(self, number: str, name: str, size: int, share: float, crop: float) -> Picture:
        """Load one of the faces of a folder that generators never see. Raises InputError."""
        held_out = self._folder(name, size, share, crop).held_out
        if not number.isdecimal() or int(number) >= len(held_out):
            raise InputError(
                f"there is no image {images.HELD_OUT}{number}; {name} has {images.HELD_OUT}0 to {len(held_out) - 1}"
            )
        image = images.Image(f"{images.HELD_OUT}{number}", np.ascontiguousarray(held_out[int(number)]), ())
        return self._images.setdefault((number, name, size, share, crop), image).spec

    def _folder(self, *key: Any) -> Faces:
        if key not in self._faces:
            self._faces[key] = load_faces(*key)
        return self._faces[key]

    def checkpoint(self, name: str) -> Checkpoint:
        """Load published weights. Raises InputError."""
        if name not in self._checkpoints:
            self._checkpoints[name] = read(name)
        return self._checkpoints[name]

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """Return everything loaded as arrays by content hash, images as uint8 (height, width, channels)."""
        arrays = {image.id: image.pixels for image in self._images.values()}
        arrays |= {loaded.spec.content_hash: loaded.records for loaded in self._sets.values()}
        arrays |= {loaded.id: loaded.tuning for loaded in self._faces.values()}
        return arrays | {loaded.id: loaded.data for loaded in self._checkpoints.values()}

    @property
    def notes(self) -> list[str]:
        """List what was done to images, data sets and faces, for the user."""
        loaded: list[images.Image | datasets.Data | Faces] = [
            *self._images.values(),
            *self._sets.values(),
            *self._faces.values(),
        ]
        return list(dict.fromkeys(f"{one.name}: {note}" for one in loaded for note in one.notes))
