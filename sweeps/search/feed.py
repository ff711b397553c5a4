"""Add to a running sweep what its searches want, as results come in."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from math import inf

from lip.ledger.ledger import Ledger
from lip.specs.fit import Fit
from sweeps.plan import Plan
from sweeps.progress import Progress
from sweeps.queue import Queue

RECORD_EVERY = 30.0
"""Seconds between two records of the searches of a run."""
RETRY_AFTER = 5.0
"""Seconds after which results are read again from a storage that did not answer."""
PATIENCE = 600.0
"""Seconds for which a storage may not answer before the run goes on without its searches."""


class SearchFeed:
    """Grows plan, queue and display of a run, and the missing fits by trajectory. It is the scheduler's `Feed`.

    With `finished` it queues also trajectories that lack nothing.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        queue: Queue,
        progress: Progress,
        remaining: dict[str, list[Fit]],
        finished: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._queue = queue
        self._progress = progress
        self._remaining = remaining
        self._finished = finished
        self._clock = clock
        self._arrived: set[str] = set()
        self._not_before = -inf
        self._failing_since = inf
        self._n_queued = len(plan.sweep.trajectories)
        self._recorded = clock()

    def __bool__(self) -> bool:
        """Tell whether results have arrived that no search has been told of."""
        return bool(self._arrived)

    def published(self, fit: str) -> None:
        """Note a fit that a search may wait for."""
        if any(fit in study.awaited for study in self._plan.studies):
            self._arrived.add(fit)

    def refill(self) -> None:
        """Queue what the fits that have arrived make known."""
        if not self._arrived or self._clock() < self._not_before:
            return
        self._plan.published |= self._arrived
        try:
            self._plan.grow(self._ledger, self._arrived if self._failing_since == inf else None)
            self._arrived.clear()
            self._failing_since = inf
        except OSError:
            self._failing_since = min(self._failing_since, self._clock())
            self._not_before = self._clock() + RETRY_AFTER
            if self._not_before - self._failing_since > PATIENCE:
                self._arrived.clear()
        new = self._plan.sweep.trajectories[self._n_queued :]
        self._n_queued += len(new)
        missing = self._plan.remaining_fits(new, self._finished)
        self._remaining |= missing
        self._queue.add({key: [fit.id for fit in fits] for key, fits in missing.items()})
        self._progress.grow(missing)
        if self._clock() - self._recorded > RECORD_EVERY:
            self._recorded = self._clock()
            with suppress(OSError):
                self._plan.record(self._ledger)
