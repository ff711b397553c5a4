"""Tell the loss of a node from the death of one process. Knows nothing of ray."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

SEEN_WITHIN = 30.0
"""Ray may report a process death and the loss of its node up to this many seconds apart."""


class NodeLosses:
    """Match deaths of processes with losses of nodes, whichever is reported first.

    `lost_nodes` lists the nodes lost so far.
    """

    def __init__(self, lost_nodes: Callable[[], set[str]], clock: Callable[[], float] = time.monotonic) -> None:
        self._lost_nodes = lost_nodes
        self._clock = clock
        self._known = lost_nodes()
        self._last_loss = -inf
        self._unexplained: dict[str, float] = {}

    def explain(self, key: str) -> bool:
        """Tell whether a node was lost around now. If not, remember this death for `explained_late`."""
        lost = self._lost_recently()
        if not lost:
            self._unexplained[key] = self._clock()
        return lost

    def explained_late(self) -> list[str]:
        """Return remembered deaths that a later node loss explains, each once."""
        self._unexplained = {key: died for key, died in self._unexplained.items() if self._recent(died)}
        if not self._unexplained or not self._lost_recently():
            return []
        explained, self._unexplained = list(self._unexplained), {}
        return explained

    def _lost_recently(self) -> bool:
        if (lost := self._lost_nodes()) - self._known:
            self._known, self._last_loss = lost, self._clock()
        return self._recent(self._last_loss)

    def _recent(self, moment: float) -> bool:
        return self._clock() - moment < SEEN_WITHIN
