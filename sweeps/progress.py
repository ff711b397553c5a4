"""What a person sees while a sweep runs: one line per finished round, and below it bars that move."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from lip import terminal
from lip.shelf import write_whole
from lip.store import Ledger
from lip.trajectory import Trajectory
from sweeps.plan import Plan, label, steps

ALIVE_FOR = 60.0
"""Seconds after its last sign of life for which a run counts as running."""


class Progress:
    """Follows a run; used as a context. Also leaves signs of life in the storage, for `status` in another terminal."""

    def __init__(self, plan: Plan, ledger: Ledger, console: Console) -> None:
        self.plan = plan
        self.ledger = ledger
        self.console = console
        self.sign = sign_of_life(ledger, plan.sweep.name, plan.sweep.profile)
        self.signed = 0.0
        self.at: dict[str, str] = {}
        self.needs = {key: {fit.id for fit in fits} for key, fits in plan.todo().items()}
        self.published: set[str] = set()
        self.failures = 0
        self.running_steps: dict[str, int] = {}
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            expand=True,
            disable=not console.is_terminal,
        )
        self.trajectories_bar = self.bars.add_task("trajectories", total=len(self.needs))
        self.fits_bar = self.bars.add_task("fits", total=len(plan.missing))
        self.steps_bar = self.bars.add_task("steps", total=steps(plan.missing.values()))
        self.trials: dict[str, Any] = {}

    def __enter__(self) -> Progress:
        self.bars.start()
        self._sign()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()
        self.sign.unlink(missing_ok=True)

    def heard(self, trajectory: Trajectory, report: dict[str, Any]) -> None:
        """Take what a trial reports: a step on the way, a published fit, or its failure."""
        key = trajectory.id
        if "failed" in report:
            self.failures += 1
            self.console.print(
                f"[red]failed[/] {escape(label(trajectory))}: {escape(report['failed'])}", highlight=False
            )
        elif "published" in report:
            fit = self.plan.fits[report["published"]]
            self.published.add(fit.id)  # a shared fit is heard of once from each that needs it
            self.running_steps.pop(key, None)
            self.bars.update(self.fits_bar, completed=len(self.published))
            self.bars.update(self.trajectories_bar, completed=sum(n <= self.published for n in self.needs.values()))
            if report["trained"]:
                self._line(trajectory, fit.id)
            if key in self.trials:
                self._bar(trajectory)
        else:
            self.running_steps[key] = report["step"]
            self.at[key] = f"{report['place']}, step {report['step']}, {report['said']}"
            self._bar(trajectory)
        finished = steps(self.plan.fits[fit] for fit in self.published)
        self.bars.update(self.steps_bar, completed=finished + sum(self.running_steps.values()))
        self._sign()

    def ended(self, trajectory: Trajectory) -> None:
        """A trial has ended, one way or the other."""
        self.at.pop(trajectory.id, None)
        self.running_steps.pop(trajectory.id, None)
        if (bar := self.trials.pop(trajectory.id, None)) is not None:
            self.bars.remove_task(bar)

    def _bar(self, trajectory: Trajectory) -> None:
        key = trajectory.id
        if key not in self.trials:
            self.trials[key] = self.bars.add_task("", total=len(self.needs[key]))
        self.bars.update(
            self.trials[key],
            completed=len(self.needs[key] & self.published),
            description=f"  {escape(label(trajectory))}: {self.at[key]}",
        )

    def _line(self, trajectory: Trajectory, fit: str) -> None:
        columns = ["sparsity", "seconds", *terminal.OUTCOME]
        for row in self.ledger.fits(columns, [fit]).to_pylist():  # one, or none yet where the storage lags behind
            place = self.plan.fits[fit].mask
            self.console.print(
                f"{escape(label(trajectory)):<40} {place!s:<8}  {row['sparsity']:>7.2%} pruned  "
                f"{row['seconds']:.1f} s  {terminal.outcome(row)}",
                highlight=False,
            )

    def _sign(self) -> None:
        if time.monotonic() - self.signed > 2:
            self.signed = time.monotonic()
            with suppress(OSError):  # a courtesy: a full disk must not fail a trial here
                write_whole(self.sign, json.dumps({"time": time.time(), "at": self.at}).encode())


def sign_of_life(ledger: Ledger, sweep: str, profile: str) -> Path:
    """Where a run of a sweep says that it is alive, and how far."""
    return ledger.root / f".running-{sweep}.{profile}.json"


def running(ledger: Ledger, sweep: str, profile: str) -> dict[str, str]:
    """The trajectories (by id) that a living run is at, and where; empty when no run gives signs of life."""
    try:
        sign = json.loads(sign_of_life(ledger, sweep, profile).read_text())
        return sign["at"] if time.time() - sign["time"] < ALIVE_FOR else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
