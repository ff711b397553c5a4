"""The storage of a ledger, a folder or a bucket of an object store, behind one small interface."""

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
"""Seconds for which an operation on Google's store is retried; other stores give up by themselves."""


class Storage:
    """Files by path relative to a folder or URL, each complete or missing.

    `url` is a path, or a URL of pyarrow or fsspec: s3://bucket/lip, gs://bucket/lip, ... A file in a folder is written
    under a temporary name, flushed and renamed; an object of a store is written by one put, which is all or nothing.
    Raises InputError when the scheme is unknown or its library is missing. Every method raises OSError when the storage
    does not answer.
    """

    def __init__(self, url: str | Path) -> None:
        if is_url(url) and "://" not in str(url):
            raise InputError(
                f"storage {without_secrets(str(url))} is neither a folder nor a URL; a URL has two slashes"
            )
        self.url = str(url) if is_url(url) else str(Path(expand(url)).absolute())
        self._fs, self._root = _filesystem(self.url)
        self._local = isinstance(self._fs, LocalFileSystem)
        self._seen = False  # whether the folder has existed: if it vanishes, a disk may have been unmounted

    def display_name(self, path: str = "") -> str:
        """Return a file's path or URL for people to read, without options and secrets."""
        place = self.url if self._local else without_secrets(self.url)
        return f"{place.rstrip('/')}/{path}" if path else place

    def __str__(self) -> str:
        return self.display_name()

    @property
    def folder(self) -> Path:
        """Return the folder on this machine. Raises InputError for an object store."""
        if not self._local:
            raise InputError(f"storage {self} is not a folder of this machine; name a folder")
        return Path(self._root)

    def write(self, path: str, data: bytes) -> None:
        """Write a file, all or nothing. Raises OSError.

        A folder that has existed and vanished is not created again: its disk may be unmounted.
        """
        if not self._local:
            with _as_oserror(), self._fs.open_output_stream(self._path(path)) as file:
                file.write(data)
        elif self._seen and not self.folder.is_dir():
            raise FileNotFoundError(f"storage {self} is gone")
        else:
            write_whole(self.folder / path, data)
        self._seen = True

    def read(self, path: str) -> bytes:
        """Read a file. Raises FileNotFoundError when it is missing."""
        with _as_oserror(), self._fs.open_input_stream(self._path(path)) as file:
            data: bytes = file.readall()
        self._seen = True
        return data

    def names(self, folder: str = "") -> list[str]:
        """List the names of the files in a folder, sorted; none when the folder is missing."""
        return self._list(folder, {FileType.File})

    def modified(self) -> dict[str, float]:
        """Return when each file beside the folders was written, by name.

        In seconds of the storage's clock; NaN where the storage does not tell.
        """
        with _as_oserror():
            found = self._fs.get_file_info(FileSelector(self._path(""), allow_not_found=True))
        files = [info for info in found if info.type == FileType.File]
        return {info.base_name: info.mtime.timestamp() if info.mtime else nan for info in files}

    def folders(self, folder: str = "") -> list[str]:
        """List the names of the folders in a folder, sorted."""
        return self._list(folder, {FileType.Directory})

    def not_files(self, folder: str) -> list[str]:
        """List the names of entries that are not plain files, such as folders and pipes, sorted."""
        return self._list(folder, {FileType.Directory, FileType.Unknown})

    def remove(self, path: str) -> None:
        """Delete a file; do nothing when it is missing."""
        with suppress(FileNotFoundError), _as_oserror():
            self._fs.delete_file(self._path(path))

    def check_writable(self) -> None:
        """Check that a file can be written, read and deleted. Raises InputError."""
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            if self._local:
                self.folder.mkdir(parents=True, exist_ok=True)
            self.write(probe, probe.encode())
            if self.read(probe) != probe.encode():
                raise OSError("it returns other data than were written")
            self.remove(probe)
        except OSError as error:
            reason = error.strerror or " ".join(str(error).split())
            other = "folder" if self._local else "storage"
            raise InputError(f"storage {self} cannot be written ({reason}); choose another {other}") from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raise InputError when it cannot be read."""
        try:
            yield
        except OSError as error:
            raise InputError(f"storage {self} cannot be read ({' '.join(str(error).split())})") from error

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _list(self, folder: str, kinds: set[FileType]) -> list[str]:
        try:
            with _as_oserror():
                found = self._fs.get_file_info(FileSelector(self._path(folder), allow_not_found=True))
        except NotADirectoryError:
            return []
        return sorted(info.base_name for info in found if info.type in kinds)


@contextmanager
def _as_oserror() -> Iterator[None]:
    """Raise the various exceptions of object stores' libraries as OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(" ".join(str(error).split())) from error


def _filesystem(url: str) -> tuple[FileSystem, str]:
    scheme = url.split("://")[0]
    shown = without_secrets(url)
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in url:  # the default is a quarter of an hour
        url += f"{'&' if '?' in url else '?'}retry_limit_seconds={GIVE_UP_AFTER}"
    if scheme == "s3" and "allow_delayed_open" not in url:  # write a small file by one request, not by three
        url += f"{'&' if '?' in url else '?'}allow_delayed_open=true"
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


@contextmanager
def writing(file: str, other: str) -> Iterator[None]:
    """Raise InputError, with another place as the remedy, when a file of this name cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror}); choose {other}") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file all or nothing, so that it survives a power cut, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.is_dir():  # a folder cannot be replaced, so it is moved aside
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
