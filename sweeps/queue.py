"""Order trajectories so that no fit is trained twice. Knows nothing of ray."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import count
from math import inf


class Queue:
    """Trajectories by key, each with the missing fits it needs.

    First come those whose fits others wait for, else the order given. A fit that several need is trained by the first
    of them, and the others are held back until it is published. Each waits only for earlier ones, so there is always
    one that can start or one that is running.
    """

    def __init__(self, needs: Mapping[str, Iterable[str]]) -> None:
        self.n_finished = 0
        """Trajectories whose fits are all published."""
        self._needs: dict[str, set[str]] = {}
        self._n_needed: dict[str, int] = {}
        self._users: dict[str, list[str]] = defaultdict(list)
        self._producer: dict[str, str] = {}
        self._ranks = count()
        self._rank: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._blocked: dict[str, set[str]] = {}
        self._ready: list[tuple[int, str]] = []
        self.add(needs)

    def add(self, needs: Mapping[str, Iterable[str]]) -> None:
        """Add trajectories at the end; those that were added before stay as they are."""
        new = {key: fits for key, fits in needs.items() if key not in self._n_needed}
        producers = _producers(new)
        for key in sorted(new, key=lambda key: key not in producers):
            self._needs[key] = set(new[key])
            self._n_needed[key] = len(self._needs[key])
            self.n_finished += not self._needs[key]
            self._rank[key] = next(self._ranks)
            for fit in self._needs[key]:
                self._users[fit].append(key)
                if self._producer.get(fit) not in self._needs:
                    self._producer[fit] = key
            self._blocked[key] = {fit for fit in self._needs[key] if self._producer[fit] != key}
            self._waiting.add(key)
            if not self._blocked[key]:
                heapq.heappush(self._ready, (self._rank[key], key))

    def __bool__(self) -> bool:
        """Tell whether any trajectory is still to be started."""
        return bool(self._waiting)

    @property
    def n_trajectories(self) -> int:
        """Count the trajectories, finished ones included."""
        return len(self._n_needed)

    def n_needed(self, key: str) -> int:
        """Count the fits that a trajectory needed at first."""
        return self._n_needed[key]

    def n_missing(self, key: str) -> int:
        """Count the fits that a trajectory still needs."""
        return len(self._needs.get(key, ()))

    def next(self, now: float = inf) -> str | None:
        """Return the first trajectory that can start, or None."""
        early = []
        found = None
        while self._ready and found is None:
            rank, key = heapq.heappop(self._ready)
            if self._not_before.get(key, now) > now:
                early.append((rank, key))
            else:
                found = key
        for entry in early:
            heapq.heappush(self._ready, entry)
        if found is not None:
            self._waiting.remove(found)
        return found

    def published(self, fit: str) -> None:
        """Release those that wait for a fit, which is now published."""
        for key in self._users.pop(fit, ()):
            if key in self._needs:
                self._needs[key].discard(fit)
                self.n_finished += not self._needs[key]
                self._unblock(key, fit)

    def ended(self, key: str) -> None:
        """Take out a trajectory. The next user of its missing fits trains them."""
        for fit in sorted(self._needs.pop(key, ())):
            self._users[fit].remove(key)
            self._pass_on(fit, key)

    def requeue(self, key: str, not_before: float = 0.0) -> None:
        """Put a trajectory at the end. The next user of its missing fits trains them."""
        for fit in sorted(self._needs[key]):
            self._users[fit].remove(key)
            self._users[fit].append(key)
            self._pass_on(fit, key)
        self._blocked[key] = {fit for fit in self._needs[key] if self._producer[fit] != key}
        self.postpone(key, not_before)

    def postpone(self, key: str, not_before: float) -> None:
        """Put a trajectory at the end that waits for another run.

        Who needs its fits too goes on waiting for it.
        """
        self._rank[key] = next(self._ranks)
        self._not_before[key] = not_before
        self._waiting.add(key)
        if not self._blocked[key]:
            heapq.heappush(self._ready, (self._rank[key], key))

    def _pass_on(self, fit: str, key: str) -> None:
        heirs = [user for user in self._users[fit] if user in self._waiting]
        if self._producer[fit] == key and heirs:
            self._producer[fit] = heirs[0]
            self._unblock(heirs[0], fit)

    def _unblock(self, key: str, fit: str) -> None:
        blocked = self._blocked[key]
        if fit in blocked:
            blocked.remove(fit)
            if not blocked and key in self._waiting:
                heapq.heappush(self._ready, (self._rank[key], key))


def _producers(needs: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the first user of every fit that several trajectories need."""
    first: dict[str, str] = {}
    return {first[fit] for key, fits in needs.items() for fit in fits if first.setdefault(fit, key) != key}
