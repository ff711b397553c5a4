"""A user's photograph as it comes, and its restoration as it goes back: same kind, alpha and colour profile."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lip.data.decoding import CONVERTED, Frame, pixels_of, read_upright, refusing, upright
from lip.errors import InputError
from lip.paths import expand

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

WRITTEN = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
"""The formats that are written, by the ending of a file's name."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph of any source, and what a picture of the same kind needs.

    pixels: (height, width, 1 or 3), uint8, or float32 in [0, 255] where the source has more than 8 bits.
    alpha: (height, width), uint8 or float32 in [0, 255]; None without.
    array: the array that was given; None for a file or a Pillow image.
    """

    name: str
    pixels: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    notes: tuple[str, ...] = ()
    array: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def like(self, values: np.ndarray) -> Any:
        """Return values (height, width, channels) in [0, 1] as what was given: an array of its type, or Pillow's.

        An alpha channel is added, enlarged if they are larger.
        """
        if self.alpha is not None:
            values = np.concatenate([values, _resized(self.alpha, values.shape[:2])[..., None] / 255], axis=2)
        if self.array is None:
            return with_profile(to_pillow(np.rint(255 * values).astype(np.uint8)), self.profile)
        whole = self.array.dtype.kind == "u"
        values = np.rint(values * np.iinfo(self.array.dtype).max) if whole else values
        return (values[..., 0] if self.array.ndim == 2 else values).astype(self.array.dtype)


def read(image: str | PathLike[str] | PillowImage | np.ndarray, what: str = "image") -> Photograph:
    """Read a photograph from a file, a Pillow image or an array.

    Arrays are (height, width) or (height, width, 1 to 4), grey or RGB and then alpha: uint8, uint16, or floats in
    [0, 1]. Raises InputError, whose sentence names the file or `what`.
    """
    if isinstance(image, np.ndarray):
        return _of_array(image, what)
    if isinstance(image, (str, PathLike)):
        path = Path(expand(Path(image)))
        if path.is_dir() or not path.exists():
            raise InputError(f"{what}: there is no file {path}; correct the path")
        return _of_frame(read_upright(path), path, str(image))
    if not hasattr(image, "getexif"):
        raise InputError(f"{what} is of type {type(image).__name__}; give a path, a Pillow image or a NumPy array")
    return _of_frame(upright(image), Path(what), "picture")


def _of_frame(frame: Frame, path: Path, name: str) -> Photograph:
    with refusing(path):
        pixels, notes = pixels_of(frame, path)
        image = frame.image
        alpha = np.asarray(image.convert("RGBA"))[..., 3] if image.has_transparency_data else None
    profile = image.info.get("icc_profile") if image.mode not in CONVERTED else None
    kept = [note for note in notes if not (note.endswith("ignored") and profile)]
    return Photograph(name, pixels, alpha, profile, tuple(kept))


def _of_array(array: np.ndarray, what: str) -> Photograph:
    shape = "x".join(map(str, array.shape))
    if array.ndim not in (2, 3) or not array.size or (array.ndim == 3 and array.shape[2] > 4):
        raise InputError(f"{what} is an array of {shape}; give (height, width) or (height, width, 1 to 4 channels)")
    if array.dtype == np.uint8:
        values = array
    elif array.dtype == np.uint16:
        values = (array / 257).astype(np.float32)
    elif array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise InputError(f"{what} has values that are not in [0, 1]; scale them, or give uint8")
        values = (array * 255.0).astype(np.float32)
    else:
        raise InputError(f"{what} is an array of {array.dtype}; give uint8, uint16 or floats in [0, 1]")
    values = np.atleast_3d(values)
    has_alpha = values.shape[2] in (2, 4)
    pixels = np.ascontiguousarray(values[..., :-1] if has_alpha else values)
    return Photograph("array", pixels, values[..., -1] if has_alpha else None, array=array)


def _resized(alpha: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    import PIL.Image

    if alpha.shape == shape:
        return alpha
    image = PIL.Image.fromarray(alpha.astype(np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), PIL.Image.Resampling.LANCZOS)).clip(0, 255)


def to_pillow(image: PillowImage | np.ndarray) -> PillowImage:
    """Return a picture as `Photograph.like` made it as an 8-bit Pillow image."""
    import PIL.Image

    if not isinstance(image, np.ndarray):
        return image
    most = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1
    pixels = np.rint(image / most * 255).astype(np.uint8)
    return PIL.Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def with_profile(image: PillowImage, profile: bytes | None) -> PillowImage:
    """Attach a colour profile to a Pillow image, which is returned."""
    if profile:
        image.info["icc_profile"] = profile
    return image


def check_name(path: Path, has_alpha: bool) -> None:
    """Refuse the name of a file that cannot hold a picture. Raises InputError."""
    written = WRITTEN.get(path.suffix.lower())
    if written is None:
        raise InputError(f"{path} ends in none of {', '.join(WRITTEN)}; name the file to write by one of these")
    if written == "JPEG" and has_alpha:
        raise InputError(f"{path} cannot hold the alpha channel of the image; name a PNG, TIFF or WebP")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")


def encode(image: PillowImage, path: Path) -> bytes:
    """Return a Pillow image in the format of a file's name, with its colour profile."""
    buffer = BytesIO()
    best: dict[str, Any] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    kind = WRITTEN[path.suffix.lower()]
    image.save(buffer, kind, icc_profile=image.info.get("icc_profile"), **best.get(kind, {}))
    return buffer.getvalue()
