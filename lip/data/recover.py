"""Load again what a published fit was trained on, by the names in its row."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from lip.data.library import InputLibrary
from lip.errors import InputError
from lip.priors import Pretrained
from lip.specs.fit import Fit
from lip.specs.picture import DataSet, Picture
from lip.tasks.degradation import Degradation


def inputs_of(fit: Fit, data: Path | None = None) -> dict[str, np.ndarray]:
    """Return the inputs of a fit by content hash, which must be the same content.

    `data` is the folder of the standard sets. Raises InputError when a file is gone or another, and for fits of
    generators, whose rows do not name the files of their weights.
    """
    if isinstance(fit.prior, Pretrained):
        raise InputError(
            f"fit {fit.id}: the row of a generator does not name the file of its weights; run its sweep in an empty "
            "storage instead"
        )
    library = InputLibrary(data)
    for picture in fit.pictures:
        _require(picture, fit, _loaded(picture, fit, library))
    for mask in fit.task.pictures:
        _require(mask, fit, _loaded_masks(mask, fit, library))
    return library.inputs


def _require(picture: Picture, fit: Fit, found: Iterable[Picture]) -> None:
    if picture.content_hash not in {one.content_hash for one in found}:
        raise InputError(
            f"{picture.name} is not found with the content that fit {fit.id} was trained on; go to the folder where it "
            "was run, or give --data"
        )


def _sizes(picture: Picture) -> list[int | None]:
    """List the sizes that may have been asked for: none, or its own if it is square."""
    return [None, picture.width] if picture.width == picture.height else [None]


def _loaded(picture: Picture, fit: Fit, library: InputLibrary) -> list[Picture]:
    found: list[Picture] = []
    with suppress(InputError):
        if isinstance(picture, DataSet):
            return [library.data_set(picture.name, picture.height)]
    for size in _sizes(picture):
        with suppress(InputError):
            found.append(library.picture(picture.name, size, fit.prior.multiple, _task(fit).half_pixel))
    return found


def _loaded_masks(mask: Picture, fit: Fit, library: InputLibrary) -> list[Picture]:
    found: list[Picture] = []
    for size in _sizes(fit.picture):
        for invert in (False, True):
            with suppress(InputError, StopIteration):
                half_pixel, multiple = _task(fit).half_pixel, fit.prior.multiple
                of = library.picture(fit.picture.name, size, multiple, half_pixel)
                if of.content_hash == fit.picture.content_hash:
                    found.append(library.mask(mask.name, of, size, multiple, half_pixel, invert))
    return found


def _task(fit: Fit) -> Degradation:
    assert isinstance(fit.task, Degradation)
    return fit.task
