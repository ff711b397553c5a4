"""Files that are either whole and verified or not there."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from lip.errors import InputError

if TYPE_CHECKING:
    from lip.ledger.filesystem import Storage

T = TypeVar("T")

LOOKS = 3
"""How often a file that vanished between listing and reading is looked for: another process has put it elsewhere."""
THREADS = 16
"""Groups read at a time: an object store answers in tens of milliseconds, but many at once."""
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class BlobStore:
    """Bytes by key. A file is `<2 of key>/<key>-<hash><suffix>`: the hash binds its content to its key and folder.

    Writing is all or nothing. Reading verifies; what fails is as good as absent: content of another key, content that
    `check` refuses by any exception, no plain file. `check` takes the path to show and the content, and raises
    InputError for what another version of lip wrote, which ends every reader. Two writers of one key may leave two
    whole files: the first by name is read, and `several` tells.
    """

    def __init__(
        self,
        storage: Storage,
        folder: str,
        suffix: str,
        check: Callable[[str, bytes], object] = lambda path, data: None,
    ) -> None:
        self.storage = storage
        self.folder = folder
        self.suffix = suffix
        self.check = check
        self._name = re.compile(rf"{_KEY.pattern}-[0-9a-f]{{16}}{re.escape(suffix)}")

    def put(self, key: str, data: bytes) -> str:
        """Store data under a key, in place of what was there before; returns the path in the storage."""
        before = self.versions(key)
        path = self.add(key, data)
        for old in before:
            if old != path:
                self.storage.remove(old)
        return path

    def add(self, key: str, data: bytes) -> str:
        """Store data under a key beside what is there; returns the path in the storage."""
        path = self._path(key, data)
        self.storage.write(path, data)
        return path

    def get(self, key: str) -> bytes | None:
        """The data of a key, verified; None when there are none or all are damaged."""
        for _ in range(LOOKS):
            with suppress(FileNotFoundError):
                return next((data for path in self.versions(key) if (data := self.read(path)) is not None), None)
        return None

    def items(self) -> Iterator[tuple[str, bytes]]:
        """All keys with their verified data, in order of keys; damaged files are passed over."""
        for key in sorted({self.key(path) for group in self.groups() for path in self.files(group)}):
            if (data := self.get(key)) is not None:
                yield key, data

    def keys(self, among: Iterable[str], verified: bool) -> set[str]:
        """Find these keys, by their names alone or by reading and verifying their files."""
        wanted = set(among)
        groups = {group_of(key) for key in wanted}

        def here(group: str) -> set[str]:
            found: set[str] = set()
            for path in self.files(group):
                key = self.key(path)
                if key in wanted and key not in found and (not verified or self._sound(path)):
                    found.add(key)
            return found

        return set().union(*each(here, sorted(groups)))

    def remove(self, key: str) -> None:
        """Forget a key."""
        for path in self.versions(key):
            self.storage.remove(path)

    def several(self, among: Iterable[str] | None = None) -> set[str]:
        """Find the keys, of all or of these, with several whole files, whose contents therefore differ."""
        wanted = None if among is None else set(among)

        def here(group: str) -> list[str]:
            keys = [self.key(path) for path in self.files(group)]
            doubled = {key for key, files in Counter(keys).items() if files > 1 and (wanted is None or key in wanted)}
            return [key for key in doubled if sum(map(self._sound, self.versions(key))) > 1]

        groups = self.groups() if wanted is None else sorted(set(map(group_of, wanted)))
        return set(chain.from_iterable(each(here, groups)))

    def fetch(self, other: BlobStore) -> int:
        """Copy here what another shelf has more, verified; returns how many files that was."""
        return self._fetched(other, self.add)

    def follow(self, other: BlobStore) -> int:
        """The same where a key has one value that changes: the other's takes the place of what is here."""
        return self._fetched(other, self.put)

    def _fetched(self, other: BlobStore, store: Callable[[str, bytes], str]) -> int:
        return sum(each(lambda group: self._fetch_group(other, group, store), other.groups()))

    def damaged(self) -> list[str]:
        """The paths in the storage of what is no plain, whole and readable file of its key."""
        return [path for paths in each(self._damaged, self.groups()) for path in paths]

    def groups(self) -> list[str]:
        """The folders that files are spread over, sorted."""
        return self.storage.folders(self.folder)

    def files(self, group: str) -> list[str]:
        """The paths in the storage of a folder's files, in order of their keys."""
        return self._in_order(group, self.storage.names(f"{self.folder}/{group}"))

    def key(self, path: str) -> str:
        """The key of a file, given its path in the storage."""
        return path[path.rindex("/") + 1 : -len(self.suffix) - 17]

    def versions(self, key: str) -> list[str]:
        """The paths in the storage of a key's files, by name."""
        return [path for path in self.files(group_of(key)) if self.key(path) == key]

    def read(self, path: str) -> bytes | None:
        """The content of a file, None when it is damaged. Raises as `parsed` does."""

        def checked(shown: str, data: bytes) -> bytes:
            self.check(shown, data)
            return data

        return self.parsed(path, checked)

    def parsed(self, path: str, parse: Callable[[str, bytes], T]) -> T | None:
        """Parse a file's content by `parse`, which may raise as `check` does; None when it is damaged.

        Raises FileNotFoundError when the file is not there any more, InputError when another version of lip wrote it.
        """
        data = self.storage.read(path)
        shown = self.storage.shown(path)
        if path == self._path(self.key(path), data):
            return _tried(parse, shown, data)
        if path.endswith(f"-{hashlib.sha256(data).hexdigest()[:16]}{self.suffix}"):  # as schema 1 named files
            _tried(self.check, shown, data)
        return None

    def _path(self, key: str, data: bytes) -> str:
        digest = hashlib.sha256(f"{self.folder}/{key}\0".encode() + data).hexdigest()[:16]
        return f"{self.folder}/{group_of(key)}/{key}-{digest}{self.suffix}"

    def _in_order(self, group: str, names: Iterable[str]) -> list[str]:
        paths = [f"{self.folder}/{group}/{name}" for name in names if self._name.fullmatch(name)]
        return sorted(paths, key=lambda path: (self.key(path), path))

    def _sound(self, path: str) -> bool:
        try:
            return self.read(path) is not None
        except FileNotFoundError:
            return self.get(self.key(path)) is not None

    def _fetch_group(self, other: BlobStore, group: str, store: Callable[[str, bytes], str]) -> int:
        here = set(self.files(group))
        copied = 0
        for _ in range(LOOKS):
            gone = False
            for path in other.files(group):
                if path not in here:
                    try:
                        data = other.read(path)
                    except FileNotFoundError:  # folded into a pack or replaced meanwhile, which the next look lists
                        gone = True
                        continue
                    here.add(path)
                    if data is not None:
                        store(other.key(path), data)
                        copied += 1
            if not gone:
                break
        return copied

    def _damaged(self, group: str) -> list[str]:
        strange = self._in_order(group, self.storage.strange(f"{self.folder}/{group}"))
        return sorted([path for path in self.files(group) if not self._sound(path)] + strange)


def group_of(key: str) -> str:
    """The folder of a key. Raises ValueError for a key that cannot name a file."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} cannot name a file")
    return key[:2]


def each(work: Callable[[str], T], groups: Iterable[str]) -> list[T]:
    """Map some work over groups, many at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, groups))


def _tried(parse: Callable[[str, bytes], T], shown: str, data: bytes) -> T | None:
    try:
        return parse(shown, data)
    except (InputError, MemoryError):
        raise
    except Exception:  # parsers meet damage with anything from ArrowInvalid to RecursionError
        return None
