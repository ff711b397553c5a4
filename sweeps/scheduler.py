"""Decide about trajectories that are interrupted, run out of GPU memory or raise. Knows nothing of ray."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import floor
from typing import Any, Protocol

from sweeps.queue import Queue

DEATHS = 5
"""How often the process of a trajectory may die, on nodes that live on, without publishing a fit in between."""
LONGEST_WAIT = 60.0
"""Seconds that an interrupted trajectory waits at most before it starts again; the first wait is one, then doubled."""
ELSEWHERE = 30.0
"""Seconds after which a trajectory that was left to another run is looked at again."""
SECOND_TRY = 10.0
"""Seconds after which a trajectory that raised is tried a second and last time: a full disk may have been emptied."""


class Listener(Protocol):
    """Whoever is told what happens, to show and to record it."""

    def note(self, key: str, text: str) -> None: ...

    def failed(self, key: str, cause: str) -> None: ...

    def finished(self, key: str) -> None: ...


@dataclass(frozen=True)
class Start:
    """A trajectory that is to be started, and its share of a GPU."""

    key: str
    gpus: float


class Scheduler:
    """Decides what starts next and what is done about failures.

    - A trajectory whose node is lost, or whose process dies, starts again after a wait that doubles: as often as it
      takes where nodes are lost; where they are not, `DEATHS` times without a fit in between.
    - One that raises is tried once more, later; then it has failed.
    - One that runs out of GPU memory starts again with a larger share of a GPU, as do all that start after it.
    - One that another run of the sweep is at is left to it, for as long as that lives.
    """

    def __init__(
        self,
        needs: Mapping[str, list[str]],
        told: Listener,
        gpus: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.queue = Queue(needs)
        self.told = told
        self.gpus = gpus
        self._clock = clock
        self._running: dict[str, float] = {}
        self._losses: Counter[str] = Counter()
        self._deaths: Counter[str] = Counter()
        self._said: dict[str, dict[str, Any]] = {}
        self._tried: set[str] = set()

    def __bool__(self) -> bool:
        """Tell whether anything is still to be started, or may have to be started again."""
        return bool(self.queue) or bool(self._running)

    def next(self) -> Start | None:
        """Return what to start now; None when nothing can start yet."""
        key = self.queue.next(self._clock())
        if key is None:
            return None
        self._running[key] = self.gpus
        return Start(key, self.gpus)

    def heard(self, key: str, report: Mapping[str, Any]) -> None:
        """A running trajectory reports that it has published a fit, or why it gives up its slot."""
        if fit := report.get("published"):
            self.queue.published(fit)
            del self._deaths[key], self._losses[key]
        elif "failed" in report or "elsewhere" in report:
            self._said[key] = dict(report)

    def ended(self, key: str) -> None:
        """A trajectory has returned, having said why if it gave up."""
        gpus = self._running.pop(key)
        said = self._said.pop(key, None)
        if said is None:
            self.queue.ended(key)
            self.told.finished(key)
        elif "elsewhere" in said:
            self.queue.again(key, self._clock() + ELSEWHERE)
        elif said.get("out_of_memory") and 0 < gpus < 1:
            self._lower(key, gpus)
            self.queue.again(key)
        elif key in self._tried:
            self._give_up(key, said["failed"])
        else:
            self._tried.add(key)
            self.told.note(key, f"{said['failed']}; to be tried once more")
            self.queue.again(key, self._clock() + SECOND_TRY)

    def died(self, key: str, cause: str, node_lost: bool) -> None:
        """The process of a trajectory is gone, alone or with its node."""
        self._running.pop(key)
        self._said.pop(key, None)
        self._losses[key] += 1
        self._deaths[key] += not node_lost
        if self._deaths[key] >= DEATHS:
            self._give_up(key, f"its process died {DEATHS} times at the same fit ({cause})")
            return
        wait = min(LONGEST_WAIT, 2.0 ** (self._losses[key] - 1))
        self.queue.again(key, self._clock() + wait)
        what = "its node was lost" if node_lost else "its process died"
        self.told.note(key, f"{what}; starts again in {wait:.0f} s")

    def excused(self, key: str) -> None:
        """The node of a process that died has turned out to be lost: that death does not count."""
        self._deaths[key] = max(0, self._deaths[key] - 1)

    def _give_up(self, key: str, cause: str) -> None:
        self.queue.ended(key)
        self.told.failed(key, cause)

    def _lower(self, key: str, gpus: float) -> None:
        """Put one trajectory less on each GPU, if those with so small a share have not led to that already."""
        if gpus >= self.gpus:
            fewer = max(1, floor(1 / gpus + 1e-6) - 1)
            self.gpus = part_of(fewer)
            self.told.note(key, f"out of GPU memory: {fewer} at a time on a GPU from now on (--gpus {self.gpus:g})")


def part_of(trials: int) -> float:
    """The share of a GPU that each of so many trials at a time has; Ray counts in ten thousandths."""
    return floor(10_000 / trials) / 10_000
