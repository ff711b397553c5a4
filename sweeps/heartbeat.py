"""Tell in the storage which runs live, and where they are.

The heartbeat of a run is a small file that it writes again and again. `status` finds runs by it, and runs of one sweep
share the work by it. A trial that can read it sees the same storage as its run.
"""

from __future__ import annotations

import json
import os
import platform
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any, Self

from lip.ledger.filesystem import Storage
from lip.ledger.ledger import Ledger
from sweeps.spec import Sweep

ALIVE_FOR = 60.0
"""Seconds after its last heartbeat for which a run counts as alive."""
DELETE_AFTER = 86_400.0
"""Seconds after which the next run deletes the heartbeat of one that was killed."""
INTERVAL = 10.0
"""Seconds between heartbeats."""


@dataclass(frozen=True)
class Beat:
    """The heartbeat of a run, as read from the storage."""

    age: float
    """Seconds; infinite if the run is known to be dead."""
    at: dict[str, str]
    """Where the run is: a text for each trajectory (by id) that it works on."""

    @property
    def alive(self) -> bool:
        """Tell whether the run counts as alive."""
        return self.age < ALIVE_FOR


class Heartbeat:
    """The heartbeat of this run; used as a context."""

    def __init__(self, sweep: Sweep, ledger: Ledger) -> None:
        self.name = f"{_prefix(sweep)}{uuid.uuid4().hex[:12]}.json"
        """The file in the storage."""
        self.at: dict[str, str] = {}
        """See `Beat.at`."""
        self._storage = ledger.storage
        self._written = -inf

    def __enter__(self) -> Self:
        self._write()
        for name, beat in self._all().items():
            if beat.age > DELETE_AFTER:  # a run whose clock is wrong writes its heartbeat again
                self._storage.remove(name)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._storage.remove(self.name)

    def beat(self) -> None:
        """Write the heartbeat, if the last one is old enough."""
        if time.monotonic() - self._written > INTERVAL:
            with suppress(OSError):  # trials that wait for the storage find the heartbeat before this one
                self._write()

    def has_company(self) -> bool:
        """Tell whether another run of the sweep is alive."""
        return any(beat.alive for name, beat in self._all().items() if name != self.name)

    def _all(self) -> dict[str, Beat]:
        return _read(self._storage, _prefix_of(self.name))

    def _write(self) -> None:
        self._written = time.monotonic()
        content = {"time": time.time(), "at": self.at, "host": platform.node(), "process": os.getpid()}
        self._storage.write(self.name, json.dumps(content).encode())


def running(ledger: Ledger, sweep: Sweep) -> dict[str, str]:
    """Return where the living runs of a sweep are, by trajectory."""
    at: dict[str, str] = {}
    for beat in _read(ledger.storage, _prefix(sweep)).values():
        at |= beat.at if beat.alive else {}
    return at


def claimed_elsewhere(ledger: Ledger, own: str, key: str) -> bool:
    """Tell whether another run, earlier by name, works on a trajectory.

    `own` is the name of this run's heartbeat. Only living runs of the same sweep count.
    """
    with suppress(OSError):  # of a storage that cannot be reached
        beats = _read(ledger.storage, _prefix_of(own))
        return any(name < own and beat.alive and key in beat.at for name, beat in beats.items())
    return False


def _read(storage: Storage, prefix: str) -> dict[str, Beat]:
    """Read the heartbeats of the runs of a sweep, by name."""
    beats = {}
    for name in storage.names():
        if name.startswith(prefix):
            with suppress(OSError, ValueError, KeyError, TypeError):  # being written, or not a heartbeat
                content = json.loads(storage.read(name))
                age = inf if _is_killed(content) else time.time() - content["time"]
                beats[name] = Beat(age, dict(content["at"]))
    return beats


def _is_killed(content: dict[str, Any]) -> bool:
    """Tell whether a heartbeat's process was on this machine and is gone."""
    if content.get("host") != platform.node():
        return False
    try:
        os.kill(content["process"], 0)  # signal 0 only asks whether it exists
    except OSError as error:  # PermissionError: it is somebody else's
        return isinstance(error, ProcessLookupError)
    return False


def _prefix(sweep: Sweep) -> str:
    """Return how the names of a sweep's heartbeats begin."""
    return f".running-{sweep.name}.{sweep.profile}-"


def _prefix_of(name: str) -> str:
    return name[: name.rindex("-") + 1]
