"""Let runs that share a storage, of one sweep or of several, train no fit twice.

A lease is an empty file that names the fit and the run. Whoever wrote the first of a fit's files holds the lease, by
the storage's clock. It ends with the file, or with the heartbeat of the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lip.ledger.filesystem import Storage
from sweeps.heartbeat import file_of, living


@contextmanager
def leased(storage: Storage, fit: str, run: str) -> Iterator[bool]:
    """Ask for the lease of a fit, and hold it in the context. Yields whether this run got it.

    It does if the storage cannot be reached: who wants to publish there has to wait anyway.
    """
    own = f"{_prefix(fit)}{run}"
    try:
        storage.write(own, b"")
        mine = not _is_held_elsewhere(storage, fit, run)
    except OSError:
        mine = True
    try:
        yield mine
    finally:
        with suppress(OSError):
            storage.remove(own)


def _is_held_elsewhere(storage: Storage, fit: str, run: str) -> bool:
    prefix, times = _prefix(fit), storage.modified()
    now = times.get(file_of(run))
    requests = sorted((written, name) for name, written in times.items() if name.startswith(prefix))
    for _, name in requests:
        other = name.removeprefix(prefix)
        if other == run or now is None:
            return False
        heartbeat = file_of(other)
        if heartbeat in times and living(storage, heartbeat, now - times[heartbeat]) is not None:
            return True
        storage.remove(name)
    return False


def _prefix(fit: str) -> str:
    return f".lease-{fit}-"
