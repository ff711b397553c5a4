"""Photographs by name: embedded ones, members of the standard sets, and the user's own files.

    astronaut         embedded in scikit-image, needs no network
    set5/baby         a member of a standard set, from a data folder or downloaded once
    photos/cat.png    the user's file; a glob such as 'photos/*.png' names several

The first part of a name decides: a file of one's own below a folder called set5 is written ./set5/cat.png.
"""

import csv
import glob
import hashlib
import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lip.data.decoding import decode
from lip.errors import InputError, nearest
from lip.paths import data_folder, expand
from lip.specs.picture import HalfPixel, Picture

HELD_OUT = "held-out/"
"""Begins the name of a face that generators are not trained on (`lip.data.faces`): `held-out/0` is the first."""

# Every one lies in scikit-image's wheel and has a loader of this name in skimage.data.
EMBEDDED = ("astronaut", "camera", "chelsea", "coffee", "coins", "moon", "retina", "rocket")

_GITHUB = "https://raw.githubusercontent.com"


class _Member(NamedTuple):
    """One row of image_sets.csv.

    Naming a set means its members of role "truth". In dip the others are the inpainting masks, a second framing of
    kate (which would count one photograph twice) and snail, a drawing whose JPEG artefacts are what is to be removed.
    """

    set: str
    name: str
    repo: str
    commit: str
    path: str
    role: str
    pixels_sha256: str

    @property
    def files(self) -> tuple[str, ...]:
        """List where a data folder may hold it, the preferred place first: several sources are BMP, most copies PNG."""
        stem = f"{self.set}/{self.name}"
        return tuple(dict.fromkeys((f"{stem}.png", f"{stem}{Path(self.path).suffix}")))


def _read_members() -> dict[str, _Member]:
    with Path(__file__).with_name("image_sets.csv").open(newline="") as table:
        return {f"{row['set']}/{row['name']}": _Member(**row) for row in csv.DictReader(table)}


_MEMBERS = _read_members()
SETS = tuple(dict.fromkeys(member.set for member in _MEMBERS.values()))


@dataclass(frozen=True, eq=False)
class Image:
    """One photograph, ready to be degraded.

    name: as a user would type it again: "astronaut", "set5/baby", "photos/cat.png".
    pixels: uint8 (height, width, channels), 1 channel (grey) or 3 (RGB); made read-only.
    notes: what was done to the file's pixels, e.g. "alpha channel dropped", "cropped 481x321 to 480x320".
    whole: height and width before that; None: nothing was cropped or resized.
    """

    name: str
    pixels: np.ndarray
    notes: tuple[str, ...]
    whole: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self.pixels.setflags(write=False)

    @cached_property
    def id(self) -> str:
        """16 hex digits that two images share exactly when their pixels are the same."""
        return _digest(self.pixels)[:16]

    @cached_property
    def spec(self) -> Picture:
        """Describe it as a spec."""
        height, width, channels = self.pixels.shape
        return Picture(name=self.name, content_hash=self.id, height=height, width=width, channels=channels)


def names(pattern: str, *, data: Path | None = None) -> list[str]:
    """The images a pattern stands for, each a name for `load`.

    A set stands for its photographs in alphabetical order, a glob for the files it matches, any other name for itself.
    With a data folder (`data` or LIP_DATA) the set's files must be in it, so that nothing starts which cannot finish.

    Raises InputError for a name that is not known, a glob that matches no file and a member not in the data folder.
    """
    if pattern in EMBEDDED or pattern.startswith(HELD_OUT):
        return [pattern]
    if pattern in SETS:
        found = sorted(key for key, member in members(pattern).items() if member.role == "truth")
    elif (key := _member_key(pattern)) is not None:
        found = [key]
    else:
        return _own_files(expand(pattern))
    for key in found:
        _in_data_folder(_MEMBERS[key], data)
    return found


def load(
    name: str,
    *,
    size: int | None = None,
    multiple: int = 32,
    half_pixel: HalfPixel = "down",
    data: Path | None = None,
) -> Image:
    """Decode one image to 8 bits and bring its sides to multiples of `multiple`, as the network's scales need.

    Without `size` the centre is cropped; with it the centre square is resized (Lanczos) to size x size. Set members
    come from `data`, else the folder LIP_DATA, else are downloaded once into the user's cache and checked.

    Raises InputError when there is no such image, it cannot be decoded, downloaded or is too small, and when `size`
    is not a multiple of `multiple`.
    """
    if size is not None and (size < multiple or size % multiple):
        raise InputError(f"size {size} is not a multiple of {multiple}, which the network's scales need")
    notes: list[str] = []
    if name in EMBEDDED:
        pixels = _embedded(name)
    else:
        name = _member_key(name) or name
        pixels, notes = decode(find_file(name, data))

    prepared = centre_crop(name, pixels, multiple, half_pixel) if size is None else resize(pixels, size)
    if prepared.shape != pixels.shape:
        verb = "cropped" if size is None else "resized"
        notes.append(f"{verb} {_width_x_height(pixels)} to {_width_x_height(prepared)}")
    return Image(name, prepared, tuple(notes), pixels.shape[:2])


def find_file(name: str, data: Path | None = None) -> Path:
    """Find the file of a name: the user's own, or a member's, which may be downloaded. Raises InputError."""
    if (key := _member_key(name)) is not None:
        return _in_data_folder(_MEMBERS[key], data) or _cached(_MEMBERS[key])
    path = expand(name)
    _require_file(path)
    return Path(path)


def _embedded(name: str) -> np.ndarray:
    import skimage.data

    return np.atleast_3d(getattr(skimage.data, name)())


def members(set_name: str) -> dict[str, _Member]:
    """Return the members of a standard set by name."""
    return {key: member for key, member in _MEMBERS.items() if member.set == set_name}


def _member_key(name: str) -> str | None:
    """The table's key for a name that begins with a set, None for any other; only keys ever become paths."""
    set_name, slash, _ = name.partition("/")
    if not slash or set_name not in SETS:
        return None
    key = os.path.splitext(name)[0]
    if key not in _MEMBERS:
        close = nearest(key, list(members(set_name)))
        raise InputError(f"set {set_name} has no image {name!r}; {close} (a file of your own is ./{name})")
    return key


def _own_files(pattern: str) -> list[str]:
    matches = sorted(filter(os.path.isfile, glob.glob(pattern, recursive=True)))
    # A file whose very name has brackets in it comes before the pattern it could be read as.
    if matches and not os.path.isfile(pattern):
        return matches
    _require_file(pattern)
    return [pattern]


def _require_file(name: str) -> None:
    if os.path.isfile(name):
        return
    if name in SETS:
        raise InputError(f"{name!r} is a set, not one image; name a member, such as {next(iter(members(name)))!r}")
    if os.path.isdir(name):
        raise InputError(f"{name} is a folder; name its files, such as {os.path.join(name, '*.png')!r}")
    if not os.path.dirname(name) and not os.path.splitext(name)[1]:
        raise InputError(f"no image is called {name!r}; {nearest(name, [*EMBEDDED, *SETS])}")
    raise InputError(f"no file matches {name!r}, seen from {Path.cwd()}; correct the path")


def _in_data_folder(member: _Member, data: Path | None) -> Path | None:
    """The member's file in the user's data folder, None when there is no such folder. InputError if it lacks it."""
    given = data_folder(data)
    if not given:
        return None
    if found := _find(member, given):
        return found
    raise InputError(
        f"data folder {given} has no {' or '.join(member.files)}; put it there, give another folder with --data DIR "
        "or LIP_DATA, or give none and it is downloaded"
    )


def _find(member: _Member, folder: Path) -> Path | None:
    return next((folder / file for file in member.files if (folder / file).is_file()), None)


def _cached(member: _Member) -> Path:
    import pooch

    cache = Path(pooch.os_cache("lottery-image-priors"))
    return _find(member, cache) or _download(member, cache / member.files[-1])


def _download(member: _Member, target: Path) -> Path:
    import pooch

    url = f"{_GITHUB}/{member.repo}/{member.commit}/{member.path}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Checked beside its place and then moved in, so that other processes see the right file or none.
        with tempfile.TemporaryDirectory(dir=target.parent) as beside:
            fetched = Path(beside, target.name)
            pooch.HTTPDownloader()(url, str(fetched), None)
            if not _has_pixels(fetched, member.pixels_sha256):
                raise InputError(
                    f"{url} gave something other than {member.set}/{member.name}, which was removed; try again, "
                    "or give --data DIR"
                )
            fetched.replace(target)
    except OSError as error:
        raise InputError(
            f"could not download {url} ({error}); give --data DIR or set LIP_DATA to a folder with {member.files[0]}, "
            f"or use an embedded image ({', '.join(EMBEDDED)})"
        ) from error
    return target


def _has_pixels(path: Path, sha256: str) -> bool:
    """Verify the decoded pixels, not the bytes: the table was made from lossless PNG copies of BMP sources."""
    try:
        return _digest(decode(path)[0]) == sha256
    except InputError:  # not an image at all, such as the sign-in page of a network
        return False


def centre_crop(name: str, pixels: np.ndarray, multiple: int, half_pixel: HalfPixel) -> np.ndarray:
    """Crop the centre of an image to multiples of `multiple`. Raises InputError when nothing would be left."""
    old = np.array(pixels.shape[:2])
    new = old - old % multiple
    if not new.all():
        raise InputError(
            f"image {name} is {_width_x_height(pixels)}; the network needs at least {multiple}x{multiple}: "
            "give a larger image, or a size to enlarge it to"
        )
    round_half = np.floor if half_pixel == "down" else np.rint
    top, left = round_half((old - new) / 2).astype(int)
    return np.ascontiguousarray(pixels[top : top + new[0], left : left + new[1]])


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """The centre square of an image (height, width, channels), resized (Lanczos) to size x size."""
    import PIL.Image
    import PIL.ImageOps

    image = PIL.Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.atleast_3d(np.asarray(PIL.ImageOps.fit(image, (size, size), method=PIL.Image.Resampling.LANCZOS)))


def _width_x_height(pixels: np.ndarray) -> str:
    height, width = pixels.shape[:2]
    return f"{width}x{height}"


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
