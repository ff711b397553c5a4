"""Record which trajectories fail, with their causes, and show it."""

from __future__ import annotations

from contextlib import suppress

from lip.ledger.ledger import Ledger
from sweeps.progress import Progress


class Failures:
    """The failures of a run, kept in the ledger for `status`. It is the scheduler's `Listener`."""

    def __init__(self, ledger: Ledger, progress: Progress) -> None:
        self.count = 0
        """Trajectories that have failed in this run."""
        self._ledger = ledger
        self._progress = progress
        self._recorded = ledger.failures().keys()

    def note(self, key: str, text: str) -> None:
        """Show that a trajectory will start again, and why."""
        self._progress.message(key, "[yellow]again[/]", text)

    def failed(self, key: str, cause: str, log: str) -> None:
        """Record that a trajectory has failed for good, with the log of its last attempt."""
        self.count += 1
        self._progress.message(key, "[red]failed[/]", cause)
        with suppress(OSError):  # the full disk may be why it failed
            self._ledger.record_failure(key, cause, log)

    def finished(self, key: str) -> None:
        """Clear an earlier failure of a trajectory that is now published."""
        if key in self._recorded:
            with suppress(OSError):
                self._ledger.clear_failure(key)
