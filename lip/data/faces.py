"""A folder of faces, split by content: some to tune a generator on, the others to recover."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lip.data.decoding import counted, decode_one_of
from lip.data.images import resize
from lip.errors import InputError
from lip.paths import expand

EMBEDDED = "lfw"
"""100 grey faces of 25x25 pixels that come with scikit-image."""

SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces of one size, uint8 (n, height, width, channels), for tuning and held out."""

    name: str
    tuning: np.ndarray
    held_out: np.ndarray
    notes: tuple[str, ...] = ()
    """What was done to the pictures of files."""

    @cached_property
    def id(self) -> str:
        """Return 16 hex digits over the pixels of the faces for tuning."""
        return hashlib.sha256(repr(self.tuning.shape).encode() + self.tuning.tobytes()).hexdigest()[:16]


def load(name: str, size: int, share: float, crop: float = 1.0) -> Faces:
    """Load the faces below a folder, or the embedded ones, cut to the centre square and resized (Lanczos).

    With `crop` the square's side is this share of the shorter side, as faces were cut for some generators.

    The hash of a face's content decides whether it belongs to the `share` for tuning or is held out, so that neither
    names nor other files matter; both parts are in order of that hash, and equal content counts once.

    Raises InputError when the folder does not exist, holds no image or one that cannot be decoded, or when one of the
    two parts is empty.
    """
    said: Counter[str] = Counter()
    found = _embedded() if name == EMBEDDED else _folder(Path(expand(name)), said)
    pixels = {key: resize(_centre(image, crop), size) for key, image in sorted(found.items())}
    channels = max(image.shape[2] for image in pixels.values())
    parts: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for key, image in pixels.items():
        tunes = int(key[:8], 16) < share * 16**8
        parts[tunes].append(np.broadcast_to(image, (size, size, channels)))
    if not (parts[True] and parts[False]):
        raise InputError(
            f"faces {name}: of {len(pixels)} images {len(parts[True])} are for tuning and {len(parts[False])} held out;"
            " give more images, or another share"
        )
    return Faces(name, np.stack(parts[True]), np.stack(parts[False]), counted(said))


def _embedded() -> dict[str, np.ndarray]:
    import skimage.data

    faces = np.rint(255 * skimage.data.lfw_subset()[:100, ..., None]).astype(np.uint8)
    return {hashlib.sha256(face.tobytes()).hexdigest(): face for face in faces}


def _centre(image: np.ndarray, crop: float) -> np.ndarray:
    height, width = image.shape[:2]
    side = max(1, round(crop * min(height, width)))
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _folder(folder: Path, said: Counter[str]) -> dict[str, np.ndarray]:
    if not folder.is_dir():
        raise InputError(f"there is no folder of faces {folder}; give one, or {EMBEDDED} for the embedded ones")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise InputError(f"folder {folder} holds no JPEG or PNG image; give a folder of faces")
    return {hashlib.sha256(path.read_bytes()).hexdigest(): decode_one_of(path, said) for path in files}
