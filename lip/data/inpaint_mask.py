"""Inpainting masks: which pixels of a photograph are known, and which are hidden.

A mask is light where pixels are known and dark where they are hidden, or the reverse with `invert`. Two values or
colours are told apart whatever they are, such as the 0 and 1 of an array; of more than two, those of at least half of
white are light. Of an image with an alpha channel, what is opaque counts as light.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lip.data.decoding import Frame, is_16_bit_grey, read_upright, upright
from lip.data.images import EMBEDDED, Image, centre_crop, find_file
from lip.errors import InputError, location
from lip.paths import expand
from lip.specs.picture import HalfPixel

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


class Photograph(NamedTuple):
    """The photograph that a mask is for: its name, and its height and width before it is cropped or resized."""

    name: str
    height: int
    width: int


def load(
    name: str,
    of: Photograph,
    *,
    size: int | None,
    multiple: int,
    half_pixel: HalfPixel = "down",
    invert: bool = False,
    data: Path | None = None,
) -> Image:
    """Read the mask of a photograph, and crop or reduce it as the photograph is.

    Its pixels are uint8 (height, width, 1): 255 where known, 0 where hidden. A pixel of a reduced mask is known only
    if all are that it is made of, so that a scratch stays hidden. The notes say how much is hidden.

    Raises InputError when it cannot be read as a mask, is of another size, or hides everything or nothing.
    """
    with location("mask"):
        if name in EMBEDDED:
            raise InputError(f"{name} is a photograph; give the file of a mask, or text")
        path = find_file(name, data)
        known, notes = known_pixels(read_upright(path), path)
        if invert:
            known = ~known
        _check_whole(name, known, of)
        part = _cropped(name, known, multiple, half_pixel) if size is None else reduce(known, size)
        _check(part, f" of the part of {name} that is used; crop it and the image so that it does")
        return prepared(name, part, notes)


def known_in(mask: str | PathLike[str] | PillowImage | np.ndarray, of: Photograph, invert: bool) -> np.ndarray:
    """Tell which pixels (height, width) of a photograph are known by its mask: a file, a Pillow image, or an array.

    Arrays are of bool, true where pixels are known, or of uint8. Raises InputError.
    """
    import PIL.Image

    if isinstance(mask, np.ndarray):
        if mask.dtype not in (np.bool_, np.uint8) or mask.ndim != 2:
            shape = "x".join(map(str, mask.shape))
            raise InputError(f"it is an array of {shape} {mask.dtype}; give (height, width) of bool or uint8")
        mask = PIL.Image.fromarray(mask if mask.dtype == np.uint8 else np.where(mask, 255, 0).astype(np.uint8))
    name, path = ("it", Path("it")) if isinstance(mask, PIL.Image.Image) else (str(mask), Path(expand(Path(mask))))
    known, _ = known_pixels(upright(mask) if isinstance(mask, PIL.Image.Image) else read_upright(path), path)
    known = ~known if invert else known
    _check_whole(name, known, of)
    return known


def prepared(name: str, known: np.ndarray, notes: list[str]) -> Image:
    """Return known pixels (height, width) as an image, with a note on how many are hidden."""
    share = f"as a mask it hides {100 * (1 - known.mean()):.3g} % of the pixels"
    return Image(name, np.where(known, 255, 0).astype(np.uint8)[..., None], (*notes, share))


def text(height: int, width: int) -> np.ndarray:
    """Draw a mask (height, width) that hides lines of text over the whole image; true where pixels are known."""
    import PIL.Image
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size=max(6, height // 12))
    page = PIL.Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(page)
    line = "lottery image prior " * (1 + width // 20)
    for row, top in enumerate(range(0, height, max(8, height // 6))):
        draw.text((-7 * row, top), line, fill=0, font=font)
    return np.asarray(page) >= 128


def reduce(known: np.ndarray, size: int) -> np.ndarray:
    """Bring the centre square of a mask to size x size; a pixel is known if all are that it overlaps."""
    hidden = ~known
    side = min(hidden.shape)
    for axis, length in enumerate(hidden.shape):
        # In units of 1 / (2 size) of a pixel, so that all is a whole number.
        edges = (length - side) * size + 2 * side * np.arange(size + 1)
        starts, stops = edges[:-1] // (2 * size), -(-edges[1:] // (2 * size))
        before = np.insert(np.cumsum(hidden, axis=axis, dtype=np.int32), 0, 0, axis=axis)
        hidden = before.take(stops, axis=axis) > before.take(starts, axis=axis)
    return ~hidden


def _cropped(name: str, known: np.ndarray, multiple: int, half_pixel: HalfPixel) -> np.ndarray:
    return centre_crop(name, known[..., None], multiple, half_pixel)[..., 0]


def _check_whole(name: str, known: np.ndarray, of: Photograph) -> None:
    """Refuse a mask of another size than its photograph, or that hides everything or nothing."""
    if known.shape != (of.height, of.width):
        raise InputError(
            f"{name} is {known.shape[1]}x{known.shape[0]} pixels and image {of.name} is {of.width}x{of.height}; "
            "give a mask of the image's size"
        )
    _check(known, f"; {name} must be light where pixels are known and dark where they are hidden")


def _check(known: np.ndarray, remedy: str) -> None:
    if known.all() or not known.any():
        raise InputError(f"it hides {'no' if known.all() else 'every'} pixel{remedy}")


def known_pixels(frame: Frame, path: Path) -> tuple[np.ndarray, list[str]]:
    """Tell which pixels (height, width) of a picture are light, with notes. `path` names it in an InputError."""
    image, stored, notes = frame
    white: int | None = 255
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA"))
        values, opaque = pixels[..., :3], pixels[..., 3] >= 128
        if opaque.any() and not opaque.all():
            _check_alpha(path, values, opaque)
            return opaque, [*notes, "its alpha channel is the mask"]
    elif image.mode.startswith(("I", "F")):
        values, white = np.asarray(image)[..., None], 65535 if is_16_bit_grey(image, stored) else None
    else:
        values = np.atleast_3d(np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB")))
    if (two := _of_two_values(values)) is not None:
        return two, notes
    grey = values.mean(axis=2, dtype=np.float32)
    if (grey == grey[0, 0]).all():
        return grey >= (white or 1) / 2, notes
    if white is None:
        raise InputError(f"{path} holds {image.mode} values whose white is not known; save it with two values")
    if (brightest := grey.max(where=grey < white, initial=0)) < white / 8:  # labels of classes, often with a 255
        raise InputError(
            f"{path} has more than two values, up to {brightest:.0f} and far from white; save it with two values"
        )
    return grey >= white / 2, notes


def _check_alpha(path: Path, colours: np.ndarray, opaque: np.ndarray) -> None:
    """Refuse colours that are another mask than the alpha channel."""
    light = _of_two_values(colours)
    if _of_two_values(colours[opaque][None]) is not None or (light is not None and (light == ~opaque).all()):
        raise InputError(f"{path} has a mask in its colours and another in its alpha channel; save it with one of them")


def _of_two_values(values: np.ndarray) -> np.ndarray | None:
    """Tell where the lighter of two values or colours (height, width, channels) is; None if there are not two."""
    one = (values == values[0, 0]).all(axis=2)
    if one.all():
        return None
    other_value = values.reshape(-1, values.shape[2])[np.argmin(one)]
    if not (one | (values == other_value).all(axis=2)).all():
        return None
    return one if values[0, 0].sum(dtype=float) > other_value.sum(dtype=float) else ~one
