"""Order trajectories so that no fit is made twice and none waits in a slot. Knows nothing of ray."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import count
from math import inf


class Queue:
    """Trajectories, each with the missing fits it needs: first those that others wait for, else in the order given.

    A fit that several need is made by the first of them; the others are held back until it is published. Holding back
    only ever waits for one that is earlier in the order, so there is always one that can start or one that is running.
    """

    def __init__(self, needs: Mapping[str, Iterable[str]]) -> None:
        producers = _producers(needs)
        self._needs = {key: set(needs[key]) for key in sorted(needs, key=lambda key: key not in producers)}
        self._users: dict[str, list[str]] = defaultdict(list)
        for key, fits in self._needs.items():
            for fit in fits:
                self._users[fit].append(key)
        self._maker = {fit: users[0] for fit, users in self._users.items()}
        self._ranks = count()
        self._rank = {key: next(self._ranks) for key in self._needs}
        self._not_before: dict[str, float] = {}
        self._waiting = set(self._needs)
        self._blocked = {key: {fit for fit in fits if self._maker[fit] != key} for key, fits in self._needs.items()}
        self._ready = [(rank, key) for key, rank in self._rank.items() if not self._blocked[key]]  # sorted: a heap

    def __bool__(self) -> bool:
        """Tell whether anything is still to be started."""
        return bool(self._waiting)

    def next(self, now: float = inf) -> str | None:
        """The earliest trajectory that can start now; None when all that are left wait for others or for later."""
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
        """A fit is in the ledger: nobody waits for it any longer."""
        for key in self._users.pop(fit, ()):
            if key in self._needs:
                self._needs[key].discard(fit)
                self._unblock(key, fit)

    def ended(self, key: str) -> None:
        """A trajectory has ended; what it should have made and did not falls to the next that needs it."""
        for fit in sorted(self._needs.pop(key, ())):
            self._users[fit].remove(key)
            self._pass_on(fit, key)

    def again(self, key: str, not_before: float = 0.0) -> None:
        """A trajectory was interrupted: it goes to the end of the order, and what it should have made to the next."""
        self._rank[key] = next(self._ranks)
        self._not_before[key] = not_before
        for fit in sorted(self._needs[key]):
            self._users[fit].remove(key)
            self._users[fit].append(key)
            self._pass_on(fit, key)
        self._waiting.add(key)
        self._blocked[key] = {fit for fit in self._needs[key] if self._maker[fit] != key}
        if not self._blocked[key]:
            heapq.heappush(self._ready, (self._rank[key], key))

    def _pass_on(self, fit: str, key: str) -> None:
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


def _producers(needs: Mapping[str, Iterable[str]]) -> set[str]:
    """The first that needs a fit, for every fit that several need."""
    first: dict[str, str] = {}
    return {first[fit] for key, fits in needs.items() for fit in fits if first.setdefault(fit, key) != key}
