"""Files that are either complete and verified or missing."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from lip.errors import InputError

if TYPE_CHECKING:
    from lip.ledger.filesystem import Storage

T = TypeVar("T")

READ_ATTEMPTS = 3
"""Attempts to read a file that vanishes after it was listed, because another process moves its content."""
THREADS = 16
"""Groups read at a time: an object store takes tens of milliseconds, but serves many at once."""
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class BlobStore:
    """Bytes by key. A file is `<2 of key>/<key>-<hash><suffix>`: the hash binds its content to its key and folder.

    Writing is all or nothing. Reading verifies: a file counts as missing if its content belongs to another key, if it
    is not a plain file, or if `check` refuses it by any exception. `check` takes the path to display and the content,
    and raises InputError for files of another version of lip, which stops every reader. Two writers of one key may
    leave two complete files: the first by name is read, and `several` finds them. With `appends=False` a key has one
    value, which `fetch` replaces.
    """

    def __init__(
        self,
        storage: Storage,
        folder: str,
        suffix: str,
        check: Callable[[str, bytes], object] = lambda path, data: None,
        appends: bool = True,
    ) -> None:
        self.storage = storage
        self.folder = folder
        self.suffix = suffix
        self.check = check
        self.appends = appends
        self._name = re.compile(rf"{_KEY.pattern}-[0-9a-f]{{16}}{re.escape(suffix)}")

    def put(self, key: str, data: bytes) -> str:
        """Store data under a key, replacing older data, and return the path in the storage."""
        before = self.versions(key)
        path = self.add(key, data)
        for old in before:
            if old != path:
                self.storage.remove(old)
        return path

    def add(self, key: str, data: bytes) -> str:
        """Store data under a key beside older data, and return the path in the storage."""
        path = self._path(key, data)
        self.storage.write(path, data)
        return path

    def get(self, key: str) -> bytes | None:
        """Read and verify the data of a key; None when they are missing or damaged."""
        for _ in range(READ_ATTEMPTS):
            with suppress(FileNotFoundError):
                return next((data for path in self.versions(key) if (data := self.read(path)) is not None), None)
        return None

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Yield all keys with their verified data, in order of keys; damaged files are skipped."""
        for key in sorted({self.key(path) for group in self.groups() for path in self.files(group)}):
            if (data := self.get(key)) is not None:
                yield key, data

    def keys(self, among: Iterable[str], verified: bool, listed: Mapping[str, list[str]] | None = None) -> set[str]:
        """Find these keys, by file names alone or by reading and verifying their files.

        `listed` has the files of their folders, if those have been listed just now.
        """
        wanted = set(among)
        groups = {group_of(key) for key in wanted}

        def find(group: str) -> set[str]:
            found: set[str] = set()
            for path in self.files(group) if listed is None else listed[group]:
                key = self.key(path)
                if key in wanted and key not in found and (not verified or self._is_intact(path)):
                    found.add(key)
            return found

        return set().union(*map_groups(find, sorted(groups)))

    def remove(self, key: str) -> None:
        """Delete a key."""
        for path in self.versions(key):
            self.storage.remove(path)

    def several(self, among: Iterable[str] | None = None) -> set[str]:
        """Find keys, among all or these, with several complete files, whose contents therefore differ."""
        wanted = None if among is None else set(among)

        def find(group: str) -> list[str]:
            keys = [self.key(path) for path in self.files(group)]
            several = {key for key, files in Counter(keys).items() if files > 1 and (wanted is None or key in wanted)}
            return [key for key in several if sum(map(self._is_intact, self.versions(key))) > 1]

        groups = self.groups() if wanted is None else sorted(set(map(group_of, wanted)))
        return set(chain.from_iterable(map_groups(find, groups)))

    def fetch(self, other: BlobStore) -> int:
        """Copy and verify the files that another store has and this one lacks; return their number.

        A file may be folded into one of another folder meanwhile, so all are listed again until nothing is new.
        """
        copied = 0
        for _ in range(READ_ATTEMPTS):
            counts = map_groups(lambda group: self._fetch_group(other, group), other.groups())
            copied += sum(new for new, _ in counts)
            if not any(new or vanished for new, vanished in counts):
                break
        return copied

    def damaged(self) -> list[str]:
        """List the paths in the storage of files that are not plain, complete and readable."""
        return [path for paths in map_groups(self._damaged, self.groups()) for path in paths]

    def groups(self) -> list[str]:
        """List the folders that files are spread over, sorted."""
        return self.storage.folders(self.folder)

    def files(self, group: str) -> list[str]:
        """List the paths in the storage of a folder's files, in order of keys."""
        return self._in_order(group, self.storage.names(f"{self.folder}/{group}"))

    def key(self, path: str) -> str:
        """Return the key of a file, given its path in the storage."""
        return path[path.rindex("/") + 1 : -len(self.suffix) - 17]

    def versions(self, key: str) -> list[str]:
        """List the paths in the storage of a key's files, by name."""
        return [path for path in self.files(group_of(key)) if self.key(path) == key]

    def read(self, path: str) -> bytes | None:
        """Read a file; None when it is damaged. Raises as `parsed` does."""

        def checked(name: str, data: bytes) -> bytes:
            self.check(name, data)
            return data

        return self.parsed(path, checked)

    def parsed(self, path: str, parse: Callable[[str, bytes], T]) -> T | None:
        """Read and parse a file; None when it is damaged. `parse` may raise as `check` does.

        Raises FileNotFoundError when the file has vanished, InputError when another version of lip wrote it.
        """
        data = self.storage.read(path)
        name = self.storage.display_name(path)
        if path == self._path(self.key(path), data):
            return _try(parse, name, data)
        if path.endswith(f"-{hashlib.sha256(data).hexdigest()[:16]}{self.suffix}"):  # as schema 1 named files
            _try(self.check, name, data)
        return None

    def _path(self, key: str, data: bytes) -> str:
        digest = hashlib.sha256(f"{self.folder}/{key}\0".encode() + data).hexdigest()[:16]
        return f"{self.folder}/{group_of(key)}/{key}-{digest}{self.suffix}"

    def _in_order(self, group: str, names: Iterable[str]) -> list[str]:
        paths = [f"{self.folder}/{group}/{name}" for name in names if self._name.fullmatch(name)]
        return sorted(paths, key=lambda path: (self.key(path), path))

    def _is_intact(self, path: str) -> bool:
        try:
            return self.read(path) is not None
        except FileNotFoundError:
            return self.get(self.key(path)) is not None

    def _fetch_group(self, other: BlobStore, group: str) -> tuple[int, int]:
        """Return how many files were copied, and how many vanished meanwhile."""
        own = set(self.files(group))
        store, copied, vanished = self.add if self.appends else self.put, 0, 0
        for path in other.files(group):
            if path not in own:
                try:
                    data = other.read(path)
                except FileNotFoundError:  # folded or replaced
                    vanished += 1
                    continue
                if data is not None:
                    store(other.key(path), data)
                    copied += 1
        return copied, vanished

    def _damaged(self, group: str) -> list[str]:
        not_files = self._in_order(group, self.storage.not_files(f"{self.folder}/{group}"))
        return sorted([path for path in self.files(group) if not self._is_intact(path)] + not_files)


def group_of(key: str) -> str:
    """Return the folder of a key. Raises ValueError for a key that cannot name a file."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} cannot name a file")
    return key[:2]


def map_groups(work: Callable[[str], T], groups: Iterable[str]) -> list[T]:
    """Map a function over groups, many at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, groups))


def _try(parse: Callable[[str, bytes], T], name: str, data: bytes) -> T | None:
    try:
        return parse(name, data)
    except (InputError, MemoryError):
        raise
    except Exception:  # on damage, parsers raise anything from ArrowInvalid to RecursionError
        return None
