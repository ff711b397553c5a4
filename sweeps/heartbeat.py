"""Tell in the storage which runs live, and where they are.

The heartbeat of a run is a small file that it writes again and again. `status` finds runs by it, and leases end with it
(`sweeps.lease`). A trial that can read it sees the same storage as its run. Its age is by the storage's clock, so a run
whose own clock is wrong neither blocks others nor looks dead.
"""

from __future__ import annotations

import json
import os
import platform
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from math import inf, nan
from typing import Any, Self

from lip.ledger.filesystem import Storage
from lip.ledger.ledger import Ledger

ALIVE_FOR = 60.0
"""Seconds after its last heartbeat for which a run counts as alive."""
DELETE_AFTER = 86_400.0
"""Seconds after which the next run deletes the heartbeat of one that was killed."""
INTERVAL = 10.0
"""Seconds between heartbeats."""

_PREFIX = ".running-"


class Heartbeat:
    """The heartbeat of this run; used as a context."""

    def __init__(self, ledger: Ledger, seconds_left: float = inf) -> None:
        self.run = uuid.uuid4().hex[:12]
        """The id of this run."""
        self.at: dict[str, str] = {}
        """Where the run is: a text for each trajectory (by id) that it works on."""
        self.seconds_left = seconds_left
        """Time that its budget leaves for fits that are still to begin."""
        self.draining: str | None = None
        """Why the run begins no other fit (`drain`); None while it goes on."""
        self._storage = ledger.storage
        self._written = -inf

    def __enter__(self) -> Self:
        self._write()
        times = self._storage.modified()
        now = times.get(file_of(self.run), nan)
        for name, written in times.items():
            if name.startswith(_PREFIX) and abs(now - written) > DELETE_AFTER:
                self._storage.remove(name)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._storage.remove(file_of(self.run))

    def beat(self) -> None:
        """Write the heartbeat, if the last one is old enough."""
        if time.monotonic() - self._written > INTERVAL:
            with suppress(OSError):  # trials that wait for the storage find the heartbeat before this one
                self._write()

    def drain(self, reason: str) -> None:
        """Tell trials, with the next beat, to begin no other fit."""
        self.draining, self._written = reason, -inf

    def _write(self) -> None:
        self._written = time.monotonic()
        content = {"at": self.at, "host": platform.node(), "process": os.getpid()}
        limits = {"draining": self.draining, "seconds_left": self.seconds_left}
        content |= {name: limit for name, limit in limits.items() if limit not in (None, inf)}
        self._storage.write(file_of(self.run), json.dumps(content).encode())


def file_of(run: str) -> str:
    """Return the name of a run's heartbeat in the storage."""
    return f"{_PREFIX}{run}.json"


def living(storage: Storage, name: str, age: float) -> dict[str, Any] | None:
    """Read the heartbeat of this name and age (seconds); None if its run does not count as alive."""
    content = _read(storage, name) if abs(age) < ALIVE_FOR else None
    return None if content is None or _is_killed(content) else content


def running(storage: Storage) -> dict[str, str]:
    """Return where the living runs are, by trajectory."""
    at: dict[str, str] = {}
    for content in _living_ones(storage):
        places = content.get("at")
        at |= {key: str(place) for key, place in places.items()} if isinstance(places, dict) else {}
    return at


def any_alive(storage: Storage) -> bool:
    """Tell whether any run lives, at work or not."""
    return next(_living_ones(storage), None) is not None


def _living_ones(storage: Storage) -> Iterator[dict[str, Any]]:
    """Read the heartbeats of all living runs."""
    for name, written in storage.modified().items():
        if name.startswith(_PREFIX) and (content := living(storage, name, time.time() - written)) is not None:
            yield content


def may_begin(storage: Storage, run: str, seconds: float) -> bool:
    """Tell whether a trial of a run may begin a fit that takes so many seconds: the run goes on, and it ends in time.

    It may if the storage cannot be reached, where it waits.
    """
    content = _read(storage, file_of(run))
    return not content.get("draining") and seconds <= content.get("seconds_left", inf)


def _read(storage: Storage, name: str) -> dict[str, Any]:
    """Read a heartbeat; empty if it is gone or is not one."""
    with suppress(OSError, ValueError):
        content = json.loads(storage.read(name))
        return content if isinstance(content, dict) else {}
    return {}


def _is_killed(content: dict[str, Any]) -> bool:
    """Tell whether a heartbeat's process was on this machine and is gone."""
    process = content.get("process")
    if content.get("host") != platform.node() or not isinstance(process, int):
        return False
    try:
        os.kill(process, 0)  # signal 0 only asks whether it exists
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:  # it is somebody else's
        return False
    return False
