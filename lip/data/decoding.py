"""Image files as 8-bit pixels: what is read, what is done to it, and what is refused.

PNG, JPEG, TIFF, BMP, GIF, PPM and WebP are read, and of TIFF only the layouts that are known to decode right. No other
decoder is tried, whatever a file says it is.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lip.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "PPM", "WEBP")
SIGNATURES = re.compile(rb"\x89PNG|\xff\xd8|II[*+]\0|MM\0[*+]|BM|GIF8|P[1-6]\s|RIFF....WEBP", re.DOTALL)
"""How files of these formats begin."""

MAX_MEGAPIXELS = 300
"""Larger images are refused. Telephones make up to 200."""

CONVERTED = ("CMYK", "LAB", "YCbCr")
"""Modes that are converted to RGB, which their colour profile does not describe."""

SUBFILE_TYPE, INK_SET = 254, 332
"""Tags of TIFF that Pillow has no names for."""


class Frame(NamedTuple):
    """The first frame of a file, upright."""

    image: PillowImage
    stored: str
    """How the file stores its pixels, as Pillow puts it."""
    notes: list[str]


def decode(path: Path) -> tuple[np.ndarray, list[str]]:
    """Decode an image file to uint8 (height, width, 1 or 3), upright, with notes on what was done.

    Raises InputError when it is damaged, too large, or stored in a way that is not read.
    """
    with refusing(path):
        frame = read_upright(path)
        if frame.image.has_transparency_data:
            frame.notes.append("alpha channel dropped")
        return pixels_of(frame, path)


def decode_one_of(path: Path, said: Counter[str]) -> np.ndarray:
    """Decode one of many image files as `decode` does, and count its notes."""
    pixels, notes = decode(path)
    said.update(notes)
    return pixels


def counted(said: Counter[str]) -> tuple[str, ...]:
    """Return notes with the number of pictures that each is about."""
    return tuple(f"{note} ({count:,} picture{'s' * (count > 1)})" for note, count in said.items())


def pixels_of(frame: Frame, path: Path) -> tuple[np.ndarray, list[str]]:
    """Return the colours of a frame as uint8 (height, width, 1 or 3), with notes on what was done.

    Raises InputError when its values have no known white.
    """
    image, stored, notes = frame
    if is_16_bit_grey(image, stored):
        notes.append("16-bit reduced to 8-bit")
        values = np.asarray(image)
        notes += _unused_bits(int(values.max()))
        return np.atleast_3d(((values.astype(np.uint32) + 128) // 257).astype(np.uint8)), notes
    if image.mode.startswith(("I", "F")):
        raise InputError(f"{path} holds {image.mode} values whose white is not known; save it as 8-bit or 16-bit PNG")
    pixels = _pixels(image, stored)
    # Pillow has no 16-bit colour: its decoder keeps the high byte, at most 1 below the rounded value.
    if re.search(r"[^I];16[BLN]'", stored):
        notes.append("16-bit reduced to 8-bit (high byte)")
        notes += _unused_bits(256 * int(pixels.max()) + 255)
    if (white := re.search(r"'ppm'.*\('RGB', (\d+)\)", stored)) and int(white[1]) > 255:
        notes.append("16-bit reduced to 8-bit")
    if image.mode in CONVERTED:
        notes.append(f"{image.mode} converted to RGB")
    return pixels, notes


def is_16_bit_grey(image: PillowImage, stored: str) -> bool:
    """Tell whether an image has grey values of 0 to 65535."""
    return image.mode.startswith("I") and bool(re.search(r"'I;16[BLN]?'|'ppm'", stored))


def _pixels(image: PillowImage, stored: str) -> np.ndarray:
    # Pillow opens 16-bit grey with alpha as colour.
    if image.mode in {"1", "L", "LA"} or "'LA;16B'" in stored:
        return np.atleast_3d(np.asarray(image.convert("L")))
    if image.mode == "La":
        return np.atleast_3d(np.asarray(image.convert("LA").convert("L")))
    # By way of RGBA, to which Pillow converts every mode without a warning.
    return np.asarray(image if image.mode == "RGB" else image.convert("RGBA").convert("RGB"))


def _unused_bits(brightest: int) -> list[str]:
    """Note that an image has fewer bits than its 16, as many cameras write it, or is dark."""
    bits = max(8, brightest.bit_length() + brightest.bit_length() % 2)
    if brightest == 0 or bits > 14:
        return []
    return [
        f"only 0 to {brightest} of 65535 are used, so that it is dark: if it is {bits}-bit, multiply it by "
        f"{2 ** (16 - bits)}"
    ]


def read_upright(path: Path) -> Frame:
    """Read the first frame of an image file, turned upright. Raises InputError."""
    import PIL.ExifTags
    import PIL.Image
    import PIL.ImageOps

    with refusing(path), PIL.Image.open(path, formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_MEGAPIXELS * 1e6:
            raise InputError(
                f"{path} has {width * height / 1e6:.0f} megapixels, and at most {MAX_MEGAPIXELS} are read; "
                "save it smaller"
            )
        if image.format == "TIFF" and (objection := _tiff_objection(image)):
            raise InputError(f"{path} is a TIFF with {objection}, which is not read; save it as PNG")
        # All three before the pixels are loaded, which forgets them; the tiles first, as EXIF may load.
        stored = str(image.tile)
        frames = getattr(image, "n_frames", 1)
        turned = image.getexif().get(PIL.ExifTags.Base.Orientation, 1) in range(2, 9)
        profile = _profile(image.info.get("icc_profile"))
        turned_image = PIL.ImageOps.exif_transpose(image)
    notes = {
        f"first of {frames} frames": frames > 1,
        "turned upright (EXIF orientation)": turned,
        f"colour profile {profile} ignored": bool(profile),
    }
    return Frame(turned_image, stored, [note for note, holds in notes.items() if holds])


def upright(image: PillowImage) -> Frame:
    """Return a Pillow image upright, as `read_upright` returns that of a file."""
    from PIL.ImageOps import exif_transpose

    return Frame(exif_transpose(image), "'I;16'" if image.mode.startswith("I;16") else "", [])


def _profile(icc: bytes | None) -> str:
    """Return the name of a colour profile by which others may show other colours; empty if there is none."""
    from io import BytesIO

    from PIL.ImageCms import ImageCmsProfile, PyCMSError, getProfileDescription

    if not icc:
        return ""
    try:
        name = getProfileDescription(ImageCmsProfile(BytesIO(icc))).strip()
    except (OSError, PyCMSError):
        return "(unknown)"
    return "" if "srgb" in name.lower() else name


def _tiff_objection(image: PillowImage) -> str | None:
    """Name the layout of a TIFF that Pillow opens and decodes to other values than are meant."""
    from PIL.TiffImagePlugin import (
        BITSPERSAMPLE,
        COLORMAP,
        COMPRESSION,
        PHOTOMETRIC_INTERPRETATION,
        PLANAR_CONFIGURATION,
        SAMPLEFORMAT,
    )

    tags = image.tag_v2  # type: ignore[attr-defined]
    bits, photometric = max(tags.get(BITSPERSAMPLE, (1,))), tags.get(PHOTOMETRIC_INTERPRETATION, 0)
    uncompressed = tags.get(COMPRESSION, 1) == 1
    objections = {
        "signed values": 2 in tags.get(SAMPLEFORMAT, (1,)) and bits == 8,
        f"{bits}-bit values whose 0 is white": photometric == 0 and bits > 8,
        f"{bits}-bit planes": tags.get(PLANAR_CONFIGURATION, 1) == 2 and bits > 8 and uncompressed,
        "uncompressed YCbCr values": photometric == 6 and uncompressed,
        "inks other than CMYK": photometric == 5 and tags.get(INK_SET, 1) != 1,
        "a thumbnail as its first image": bool(tags.get(SUBFILE_TYPE, 0) & 1),
        "an 8-bit palette": photometric == 3 and 0 < max(tags.get(COLORMAP, (0,))) < 256,
    }
    return next((objection for objection, holds in objections.items() if holds), None)


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Raise what a decoder raises as InputError; lift Pillow's limit of pixels, for which there is one of ours."""
    import PIL.Image

    limit = PIL.Image.MAX_IMAGE_PIXELS
    try:
        PIL.Image.MAX_IMAGE_PIXELS = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about metadata
            yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path} has more pixels than the memory can hold; save it smaller") from error
    except Exception as error:  # decoders meet damaged files with anything from SyntaxError to struct.error
        raise InputError(_reason(path, error)) from error
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = limit


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{path} cannot be read ({error.strerror}); correct that, or give another file"
    with path.open("rb") as file:
        start = file.read(12)
    cause = " ".join(str(error).split())
    if not start:
        return f"{path} is empty; give a whole copy of it"
    if not SIGNATURES.match(start):
        return f"{path} is in a format that is not read; save it as PNG, JPEG, TIFF, BMP, GIF, PPM or WebP"
    if start[:2] in (b"II", b"MM") and "cannot identify" in cause:
        return f"{path} is a TIFF that is damaged, or in a layout that is not read; save it as 8-bit or 16-bit PNG"
    if re.search("text chunk|decompressed data too large", cause, re.IGNORECASE):
        return f"{path} has metadata that are too large ({cause}); save it without them"
    return f"{path} is damaged ({cause}); give a whole copy of it"
