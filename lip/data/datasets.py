"""Data sets by name: an embedded one, CIFAR-10, or the user's own folders.

    faces             200 grey pictures, half of them faces; embedded in scikit-image, needs no network
    digits            1,797 handwritten digits, of scikit-learn if it is installed
    cifar10           from its original archive, in a data folder or downloaded once
    pets/             the user's folder, with one folder of PNG or JPEG files per class
    twenty.txt        the user's list of such class folders, one a line, as seen from the list

Test pictures are chosen by content: in every class, the fifth of the pictures with the smallest hashes (CIFAR-10 has
its own test set). Equal pictures of a class count once, so that none is in both parts.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isqrt
from pathlib import Path

import numpy as np

from lip.data.decoding import counted, decode_one_of
from lip.errors import InputError, nearest
from lip.paths import data_folder, expand
from lip.specs.picture import DataSet
from lip.training.machine import available_memory

TEST_SHARE = 0.2
SUFFIXES = (".png", ".jpg", ".jpeg")

CIFAR_ARCHIVE = "cifar-10-binary.tar.gz"
CIFAR_URL = f"https://www.cs.toronto.edu/~kriz/{CIFAR_ARCHIVE}"
CIFAR_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
CIFAR_TEST = "test_batch.bin"
CIFAR_SIDE = 32
CIFAR_PICTURES = 60_000


@dataclass(frozen=True, eq=False)
class Data:
    """A prepared data set: records (`lip.specs.picture.DataSet`), and notes on what was done to its pictures."""

    name: str
    records: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.records.setflags(write=False)

    @cached_property
    def spec(self) -> DataSet:
        """Describe it as a spec."""
        digest = hashlib.sha256(repr(self.records.dtype.descr).encode())
        digest.update(self.records.view(np.uint8).data)
        height, width, channels = self.records["image"].shape[1:]
        tested = int(self.records["test"].sum())
        return DataSet(
            name=self.name,
            content_hash=digest.hexdigest()[:16],
            height=height,
            width=width,
            channels=channels,
            classes=len(self.classes),
            train=len(self.records) - tested,
            test=tested,
        )


def load(name: str, size: int, data: Path | None = None) -> Data:
    """Load all pictures of a data set, cut to a centred square and scaled to size x size.

    They are reduced by Lanczos-3 and, as in the released code, enlarged by repeating pixels. `data` is the folder of
    the standard sets. Raises InputError when the set does not exist or a part of it cannot be used.
    """
    if name in EMBEDDED:
        return _of_classes(name, EMBEDDED[name](), size)
    if name == "cifar10":
        return _cifar10(size, data)
    path = Path(expand(name))
    if path.is_dir():
        return _of_folders(name, sorted(each for each in path.iterdir() if each.is_dir()), size)
    if path.is_file() and path.suffix == ".txt":
        return _of_folders(name, _listed(path), size)
    if os.path.dirname(name) or path.suffix or path.is_file():
        raise InputError(f"data {name} is not a folder of class folders or a list of them (.txt); correct the path")
    raise InputError(f"there is no data set {name!r}; {nearest(name, [*EMBEDDED, 'cifar10'])}")


Classes = dict[str, Iterable[np.ndarray]]
"""Pictures by class, uint8 (height, width, channels) of any size; of files, one at a time."""


def _faces() -> Classes:
    import skimage.data

    pictures = np.rint(255 * skimage.data.lfw_subset()).astype(np.uint8)[..., None]
    return {"face": pictures[:100], "other": pictures[100:]}


def _digits() -> Classes:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise InputError(
            "data digits is part of scikit-learn, which is not installed: pip install scikit-learn, or use faces"
        ) from error
    digits = load_digits()
    pictures = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    return {str(label): pictures[digits.target == label] for label in range(10)}


EMBEDDED = {"faces": _faces, "digits": _digits}


def _listed(path: Path) -> list[Path]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"data {path} cannot be read as a list of folders ({error})") from error
    folders = [path.parent / line for line in lines if line and not line.startswith("#")]
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"data {path}: there is no folder {folder}; correct the line")
    return folders


def _check_memory(name: str, count: int, size: int) -> None:
    """Refuse pictures that do not fit into memory twice, as a list and as records."""
    most, there = 2 * 3 * count * size**2, available_memory()
    if most > there:
        raise InputError(
            f"data {name}: {count:,} pictures of {size}x{size} pixels take about {most / 1e9:.3g} GB of memory, and "
            f"there are {there / 1e9:.3g} GB; use data_size: {isqrt(int(there / (6 * count)))} or less"
        )


def _of_folders(name: str, folders: Sequence[Path], size: int) -> Data:
    said: Counter[str] = Counter()
    data = _of_classes(name, _read(folders, name, size, said), size)
    return replace(data, notes=(*data.notes, *counted(said)))


def _read(folders: Sequence[Path], name: str, size: int, said: Counter[str]) -> Classes:
    """Return the pictures of class folders, decoded one by one; `said` counts notes on them."""
    files: dict[str, list[Path]] = {}
    for folder in folders:
        if folder.name in files:
            raise InputError(f"data {name}: two folders have the name {folder.name}; rename one")
        files[folder.name] = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    _check_memory(name, sum(map(len, files.values())), size)
    return {key: (decode_one_of(path, said) for path in paths) for key, paths in files.items()}


def _of_classes(name: str, classes: Classes, size: int) -> Data:
    if len(classes) < 2:
        raise InputError(f"data {name} has {len(classes)} class folders; give at least two")
    scaled: list[np.ndarray] = []
    labels: list[int] = []
    test: list[bool] = []
    notes = []
    for label, (key, pictures) in enumerate(classes.items()):
        count, distinct = 0, {}
        for count, picture in enumerate(pictures, 1):  # noqa: B007  # counts them
            digest = hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()
            distinct[digest] = _square(picture, size)
        if len(distinct) < 2:
            raise InputError(
                f"data {name}: class {key} has {len(distinct)} different PNG or JPEG pictures; give at least two, "
                "one to train on and one to test on"
            )
        if len(distinct) < count:
            notes.append(f"{count - len(distinct)} duplicates of class {key} left out")
        tested = max(1, round(TEST_SHARE * len(distinct)))
        scaled += [distinct[digest] for digest in sorted(distinct)]
        labels += [label] * len(distinct)
        test += [rank < tested for rank in range(len(distinct))]
    if any(picture.shape[2] == 3 for picture in scaled):
        scaled = [np.broadcast_to(picture, (size, size, 3)) for picture in scaled]
    records = _records(scaled, labels, test)
    return Data(name, records, tuple(classes), (_summary(records, len(classes)), *notes))


def _records(scaled: Sequence[np.ndarray], labels: Sequence[int], test: Sequence[bool]) -> np.ndarray:
    kind = [("image", np.uint8, scaled[0].shape), ("label", np.int32), ("test", np.bool_)]
    records = np.empty(len(scaled), kind)
    for at, picture in enumerate(scaled):
        records["image"][at] = picture
    records["label"], records["test"] = labels, test
    return records


def _square(picture: np.ndarray, size: int) -> np.ndarray:
    import PIL.Image
    import PIL.ImageOps

    if picture.shape[:2] == (size, size):
        return picture
    method = PIL.Image.Resampling.LANCZOS if min(picture.shape[:2]) > size else PIL.Image.Resampling.NEAREST
    image = PIL.Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else np.ascontiguousarray(picture))
    return np.atleast_3d(np.asarray(PIL.ImageOps.fit(image, (size, size), method=method)))


def _summary(records: np.ndarray, classes: int) -> str:
    tested = int(records["test"].sum())
    size = records["image"].shape[1]
    return f"{classes} classes, {len(records) - tested} pictures to train on and {tested} to test on, {size}x{size}"


def _cifar10(size: int, data: Path | None) -> Data:
    _check_memory("cifar10", CIFAR_PICTURES, size)
    archive = _cifar_archive(data)
    parts = []
    try:
        with tarfile.open(archive) as tar:
            for member in (*CIFAR_TRAIN, CIFAR_TEST):
                file = tar.extractfile(f"cifar-10-batches-bin/{member}")
                assert file is not None
                rows = np.frombuffer(file.read(), np.uint8).reshape(-1, 1 + 3 * CIFAR_SIDE**2)
                pictures = rows[:, 1:].reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE).transpose(0, 2, 3, 1)
                scaled = [_square(picture, size) for picture in pictures]
                parts.append(_records(scaled, rows[:, 0].tolist(), [member == CIFAR_TEST] * len(rows)))
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise InputError(f"{archive} is not the binary version of CIFAR-10 ({error}); delete it") from error
    records = np.concatenate(parts)
    return Data("cifar10", records, CIFAR_CLASSES, (_summary(records, len(CIFAR_CLASSES)),))


def _cifar_archive(data: Path | None) -> Path:
    """Find the archive in the data folder, or download it once, and verify its checksum."""
    if given := data_folder(data):
        path = given / CIFAR_ARCHIVE
        if not path.is_file():
            raise InputError(
                f"data folder {given} has no {CIFAR_ARCHIVE}; put it there ({CIFAR_URL}), or give no data folder "
                "to download it"
            )
    else:
        path = _downloaded()
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != CIFAR_SHA256:
            raise InputError(f"{path} is not the original archive (its SHA-256 differs); replace it by {CIFAR_URL}")
    return path


def _downloaded() -> Path:
    import pooch

    try:
        return Path(
            pooch.retrieve(
                CIFAR_URL,
                f"sha256:{CIFAR_SHA256}",
                CIFAR_ARCHIVE,
                pooch.os_cache("lottery-image-priors"),
            )
        )
    except (OSError, ValueError) as error:  # ValueError: the checksum differs
        raise InputError(
            f"could not download {CIFAR_URL} ({error}); give --data DIR or set LIP_DATA to a folder with "
            f"{CIFAR_ARCHIVE}, or use an embedded set (faces)"
        ) from error
