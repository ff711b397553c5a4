"""Which trajectory may start next, so that no fit is made twice and none waits in a slot. Knows nothing of ray."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping


class Queue:
    """Trajectories in order, each with the missing fits it needs.

    A fit that several need is made by the first of them; the others are held back until it is published. Holding back
    only ever waits for an earlier trajectory, so there is always one that can start or one that is running.
    """

    def __init__(self, needs: Mapping[str, Iterable[str]]) -> None:
        self._needs = {key: set(fits) for key, fits in needs.items()}
        self._users: dict[str, list[str]] = defaultdict(list)
        for key, fits in needs.items():
            for fit in fits:
                self._users[fit].append(key)
        self._maker = {fit: users[0] for fit, users in self._users.items()}
        self._rank = {key: rank for rank, key in enumerate(self._needs)}
        self._waiting = set(self._needs)
        self._blocked = {key: {fit for fit in fits if self._maker[fit] != key} for key, fits in self._needs.items()}
        self._ready = [(rank, key) for key, rank in self._rank.items() if not self._blocked[key]]  # sorted: a heap

    def __bool__(self) -> bool:
        """Whether anything is still to be started."""
        return bool(self._waiting)

    def next(self) -> str | None:
        """The earliest trajectory that can start now; None when all that are left wait for running ones."""
        if not self._ready:
            return None
        _, key = heapq.heappop(self._ready)
        self._waiting.remove(key)
        return key

    def published(self, fit: str) -> None:
        """A fit is in the ledger: nobody waits for it any longer."""
        for key in self._users.pop(fit, ()):
            if key in self._needs:
                self._needs[key].discard(fit)
                self._unblock(key, fit)

    def ended(self, key: str) -> None:
        """A trajectory has ended; what it should have made and did not falls to the next that needs it."""
        for fit in sorted(self._needs.pop(key, ())):
            heirs = [user for user in self._users[fit] if user in self._waiting]
            if self._maker[fit] == key and heirs:
                self._maker[fit] = heirs[0]
                self._unblock(heirs[0], fit)

    def _unblock(self, key: str, fit: str) -> None:
        blocked = self._blocked[key]
        if fit in blocked:
            blocked.remove(fit)
            if not blocked and key in self._waiting:
                heapq.heappush(self._ready, (self._rank[key], key))
