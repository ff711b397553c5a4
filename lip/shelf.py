"""A folder of files that are either whole and verified or not there."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class Shelf:
    """Bytes by key. A file's name carries the hash of its content: `<2 of key>/<key>-<hash><suffix>`.

    Writing is all or nothing (temporary name, flush, rename). Reading verifies; what fails is as good as absent.
    Two writers of one key may leave two whole files: any of them is right, and the first by name is read.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder = folder
        self.suffix = suffix

    def _versions(self, key: str) -> list[Path]:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", key):
            raise ValueError(f"{key!r} cannot name a file")
        return sorted((self.folder / key[:2]).glob(f"{key}-{'[0-9a-f]' * 16}{self.suffix}"))

    def put(self, key: str, data: bytes) -> Path:
        """Store data under a key, in place of what was there before."""
        before = self._versions(key)
        path = self.folder / key[:2] / f"{key}-{_digest(data)}{self.suffix}"
        write_whole(path, data)
        for old in before:
            if old != path:
                old.unlink(missing_ok=True)
        return path

    def get(self, key: str) -> bytes | None:
        """The data of a key, verified; None when there are none or all are damaged."""
        return next((data for path in self._versions(key) if (data := _read(path)) is not None), None)

    def items(self) -> Iterator[tuple[str, bytes]]:
        """All keys with their verified data, in order of keys; damaged files are passed over."""
        last = None
        for path in self._paths():
            key = self._key(path)
            if key != last and (data := _read(path)) is not None:
                last = key
                yield key, data

    def remove(self, key: str) -> None:
        """Forget a key."""
        for path in self._versions(key):
            path.unlink(missing_ok=True)

    def damaged(self) -> list[Path]:
        """The files whose content does not match their name."""
        return [path for path in self._paths() if _read(path) is None]

    def _paths(self) -> list[Path]:
        paths = self.folder.glob(f"*/*-{'[0-9a-f]' * 16}{self.suffix}")
        return sorted(paths, key=lambda path: (self._key(path), path.name))

    def _key(self, path: Path) -> str:
        return path.name[: -len(self.suffix) - 17]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # replaced by another writer since it was listed
        return None
    return data if path.name.removesuffix(path.suffix).endswith(f"-{_digest(data)}") else None


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in place all or nothing, so that it survives a power cut; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)
