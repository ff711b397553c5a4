"""The home of a ledger: a folder, or a bucket of an object store, behind one small interface."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import nan
from pathlib import Path

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from lip.errors import InputError
from lip.paths import expand, is_url, without_secrets

GIVE_UP_AFTER = 60
"""Seconds for which an operation of Google's store is tried again; others give up by themselves."""


class Storage:
    """Files by path relative to a folder or URL, each of them whole or not there.

    `url` is a path, or what pyarrow or fsspec knows: s3://bucket/lip, gs://bucket/lip, ... A file of a folder gets
    there by temporary name, flush and rename; an object of a store by one put, which is all or nothing. Raises
    InputError when the scheme is unknown or its library is missing, and every method OSError when nothing answers.
    """

    def __init__(self, url: str | Path) -> None:
        if is_url(url) and "://" not in str(url):
            raise InputError(
                f"storage {without_secrets(str(url))} is neither a folder nor a URL; a URL has two slashes"
            )
        self.url = str(url) if is_url(url) else str(Path(expand(url)).absolute())
        self._fs, self._root = _filesystem(self.url)
        self._local = isinstance(self._fs, LocalFileSystem)
        self._seen = False

    def shown(self, path: str = "") -> str:
        """A file's path or URL for people to read: without options and secrets."""
        place = self.url if self._local else without_secrets(self.url)
        return f"{place.rstrip('/')}/{path}" if path else place

    @property
    def folder(self) -> Path:
        """The folder on this machine. Raises InputError where it is none."""
        if not self._local:
            raise InputError(f"storage {self.shown()} is no folder of this machine; name a folder")
        return Path(self._root)

    def write(self, path: str, data: bytes) -> None:
        """Put a file in place. Raises OSError when nothing could be written.

        A folder that has been there and is gone is not made anew: below it there may be a disk that is not mounted.
        """
        if not self._local:
            with _answering(), self._fs.open_output_stream(self._at(path)) as file:
                file.write(data)
        elif self._seen and not self.folder.is_dir():
            raise FileNotFoundError(f"storage {self.shown()} is gone")
        else:
            write_whole(self.folder / path, data)
        self._seen = True

    def read(self, path: str) -> bytes:
        """The content of a file. Raises FileNotFoundError when there is none."""
        with _answering(), self._fs.open_input_stream(self._at(path)) as file:
            data: bytes = file.readall()
        self._seen = True
        return data

    def names(self, folder: str = "") -> list[str]:
        """The names of the files in a folder, sorted; none where there is no such folder."""
        return self._list(folder, {FileType.File})

    def modified(self) -> dict[str, float]:
        """Return when each file beside the folders was written, by name.

        In seconds of the storage's clock; NaN where the storage does not tell.
        """
        with _answering():
            found = self._fs.get_file_info(FileSelector(self._at(""), allow_not_found=True))
        files = [info for info in found if info.type == FileType.File]
        return {info.base_name: info.mtime.timestamp() if info.mtime else nan for info in files}

    def folders(self, folder: str = "") -> list[str]:
        """The names of the folders in a folder, sorted."""
        return self._list(folder, {FileType.Directory})

    def strange(self, folder: str) -> list[str]:
        """The names of what is no plain file in a folder, such as folders and pipes, sorted."""
        return self._list(folder, {FileType.Directory, FileType.Unknown})

    def remove(self, path: str) -> None:
        """Delete a file; nothing happens when it is not there."""
        with suppress(FileNotFoundError), _answering():
            self._fs.delete_file(self._at(path))

    def check_writable(self) -> None:
        """Write, read and remove a file. Raises InputError when that cannot be done."""
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            if self._local:
                self.folder.mkdir(parents=True, exist_ok=True)
            self.write(probe, probe.encode())
            if self.read(probe) != probe.encode():
                raise OSError("it gives back something else than was written")
            self.remove(probe)
        except OSError as error:
            reason = error.strerror or " ".join(str(error).split())
            other = "folder" if self._local else "place"
            raise InputError(f"storage {self.shown()} cannot be written ({reason}); choose another {other}") from error

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _list(self, folder: str, kinds: set[FileType]) -> list[str]:
        try:
            with _answering():
                found = self._fs.get_file_info(FileSelector(self._at(folder), allow_not_found=True))
        except NotADirectoryError:
            return []
        return sorted(info.base_name for info in found if info.type in kinds)


@contextmanager
def _answering() -> Iterator[None]:
    """Raise what libraries of object stores raise, each in its own way, as OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(" ".join(str(error).split())) from error


def _filesystem(url: str) -> tuple[FileSystem, str]:
    scheme = url.split("://")[0]
    shown = without_secrets(url)
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in url:  # it would go on for a quarter of an hour
        url += f"{'&' if '?' in url else '?'}retry_limit_seconds={GIVE_UP_AFTER}"
    try:
        try:
            fs, root = FileSystem.from_uri(url)
        except pa.ArrowInvalid as unknown:
            if "Unrecognized filesystem" not in str(unknown):
                raise
            fs, root = FileSystem.from_uri(f"fsspec+{url}")
    except ImportError as missing:
        raise InputError(f"storage {shown}: {scheme}:// needs a library that is not installed ({missing})") from missing
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, ValueError) as error:
        reason = " ".join(str(error).split()).replace(url, shown)
        raise InputError(
            f"storage {shown} cannot be used ({reason}); give a folder, or a URL such as s3://bucket/lip or gs://bucket/lip"
        ) from error
    if not root.strip("/"):
        raise InputError(f"storage {shown} names no folder or bucket; give one, such as s3://bucket/lip")
    return fs, root.rstrip("/")


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in place all or nothing, so that it survives a power cut; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.is_dir():  # which nothing can replace; whoever made it finds it beside
            path.rename(path.with_name(f".{uuid.uuid4().hex}"))
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)
