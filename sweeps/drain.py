"""End a run cleanly: begin no other fit, publish those in training, and leave the rest to the same command."""

from __future__ import annotations

import signal
from contextlib import suppress


class Drain:
    """Tells a run to end. Whoever wants that requests it: a budget, or a signal handler.

    The run tells its trials by its heartbeat (`sweeps.heartbeat`), which each reads before it begins a fit.
    """

    reason: str | None = None
    """Why the run ends; None while it goes on."""

    def request(self, reason: str) -> None:
        """Ask the run to end; the first reason stands. Does nothing else, so that a signal handler may call it."""
        self.reason = self.reason or reason

    def __bool__(self) -> bool:
        """Tell whether the run is to end."""
        return self.reason is not None

    def on_signal(self) -> None:
        """Let SIGUSR1 request it: batch systems send that some minutes before they end a job."""
        with suppress(ValueError):  # not the main thread, which alone gets signals
            signal.signal(signal.SIGUSR1, lambda *_: self.request("SIGUSR1 asked for it"))
