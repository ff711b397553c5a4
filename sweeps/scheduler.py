"""Decide what to start, retry and give up. Knows nothing of ray."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import floor
from typing import Any, Protocol

from sweeps.drain import Drain
from sweeps.queue import Queue

MAX_DEATHS = 5
"""A trajectory fails when its process has died this often without publishing a fit, its nodes being alive."""
MAX_DELAY = 60.0
"""The longest delay in seconds before an interrupted trajectory restarts. The first is one second; it doubles."""
RECHECK_AFTER = 5.0
"""Seconds after which a trajectory is tried again whose fit another run trains."""
RETRY_AFTER = 10.0
"""Seconds after which a trajectory that raised is retried: a full disk may have been emptied."""


class Listener(Protocol):
    """Gets to know what happens to trajectories."""

    def note(self, key: str, text: str) -> None: ...

    def failed(self, key: str, cause: str, log: str) -> None: ...

    def finished(self, key: str) -> None: ...


class Feed(Protocol):
    """Adds trajectories to the queue that results make known, and is true while there are such results."""

    def __bool__(self) -> bool: ...

    def published(self, fit: str) -> None: ...

    def refill(self) -> None: ...


@dataclass(frozen=True)
class Start:
    """A trajectory to start, and its share of a GPU."""

    key: str
    gpus: float


class Scheduler:
    """Decide what starts next and what to do about failures.

    - If a node is lost or a process dies, its trajectory restarts after a delay that doubles each time. Losses of nodes
      are not limited; after `MAX_DEATHS` deaths of a process without a fit in between the trajectory fails.
    - A trajectory that raises is retried once, then it fails.
    - After an out-of-memory error, that trajectory and all that start later get a larger share of a GPU.
    - A trajectory waits while another run trains one of its fits.
    - Nothing starts once `drain` is requested.
    """

    def __init__(
        self,
        queue: Queue,
        listener: Listener,
        gpus: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        drain: Drain | None = None,
        feed: Feed | None = None,
    ) -> None:
        self.gpus = gpus
        """The share of a GPU of each trajectory that starts now."""
        self.n_drained = 0
        """Trajectories that ended before a fit for which there was no time."""
        self._drain = Drain() if drain is None else drain
        self._queue = queue
        self._listener = listener
        self._clock = clock
        self._feed = feed
        self._running: dict[str, float] = {}
        self._restarts: Counter[str] = Counter()
        self._deaths: Counter[str] = Counter()
        self._reasons: dict[str, dict[str, Any]] = {}
        self._retried: set[str] = set()

    def __bool__(self) -> bool:
        """Tell whether anything is still to be started or may restart."""
        return bool(self._running) or (not self._drain and (bool(self._queue) or bool(self._feed)))

    def next(self) -> Start | None:
        """Return what to start now, or None if nothing can start yet."""
        if self._drain:
            return None
        if self._feed is not None:
            self._feed.refill()
        key = self._queue.next(self._clock())
        if key is None:
            return None
        self._running[key] = self.gpus
        return Start(key, self.gpus)

    def on_report(self, key: str, report: Mapping[str, Any]) -> None:
        """Take a report of a trial (`sweeps.trial`)."""
        if fit := report.get("published"):
            self._queue.published(fit)
            if self._feed is not None:
                self._feed.published(fit)
            del self._deaths[key], self._restarts[key]
        elif report.keys() & {"failed", "elsewhere", "drained"}:
            self._reasons[key] = dict(report)

    def on_end(self, key: str) -> None:
        """Finish, requeue or fail a trajectory whose trial has returned, or was stopped."""
        gpus = self._running.pop(key)
        reason = self._reasons.pop(key, None)
        if reason is None and not self._queue.n_missing(key):
            self._queue.ended(key)
            self._listener.finished(key)
        elif reason is None or "drained" in reason:
            self.n_drained += reason is not None
            self._queue.ended(key)
        elif "elsewhere" in reason:
            self._queue.postpone(key, self._clock() + RECHECK_AFTER)
        elif reason.get("out_of_memory") and 0 < gpus < 1:
            self._raise_share(key, gpus)
            self._queue.requeue(key)
        elif key in self._retried:
            self._fail(key, reason["failed"], reason.get("log", ""))
        else:
            self._retried.add(key)
            self._listener.note(key, f"{reason['failed']}; will be retried once")
            self._queue.requeue(key, self._clock() + RETRY_AFTER)

    def on_death(self, key: str, cause: str, node_lost: bool, log: str = "") -> None:
        """Requeue or fail a trajectory whose process has died; `log` has more about it than `cause`."""
        self._running.pop(key)
        self._reasons.pop(key, None)
        self._restarts[key] += 1
        self._deaths[key] += not node_lost
        if self._deaths[key] >= MAX_DEATHS:
            self._fail(key, f"its process died {MAX_DEATHS} times at the same fit ({cause})", log)
            return
        delay = min(MAX_DELAY, 2.0 ** (self._restarts[key] - 1))
        self._queue.requeue(key, self._clock() + delay)
        what = "its node was lost" if node_lost else "its process died"
        self._listener.note(key, f"{what}; starts again in {delay:.0f} s")

    def forgive_death(self, key: str) -> None:
        """Do not count the last death, because the node was lost."""
        self._deaths[key] = max(0, self._deaths[key] - 1)

    def _fail(self, key: str, cause: str, log: str) -> None:
        self._queue.ended(key)
        self._listener.failed(key, cause, log)

    def _raise_share(self, key: str, gpus: float) -> None:
        """Put one trajectory less on each GPU, unless that has been done."""
        if gpus >= self.gpus:
            fewer = max(1, floor(1 / gpus + 1e-6) - 1)
            self.gpus = share_for(fewer)
            self._listener.note(key, f"out of GPU memory: from now on {fewer} per GPU (--gpus {self.gpus:g})")


def share_for(trials: int) -> float:
    """Return the share of a GPU for each of so many trials."""
    return floor(10_000 / trials) / 10_000  # Ray counts in ten thousandths
