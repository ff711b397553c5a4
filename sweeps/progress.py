"""Show a running sweep: a line per finished round, and bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from lip import terminal
from lip.specs.fit import Fit
from lip.terminal import markup
from sweeps.plan import Plan, steps
from sweeps.queue import Queue


class Progress:
    """The display of a running sweep; used as a context. What is done it reads from the queue."""

    def __init__(self, plan: Plan, queue: Queue, console: Console) -> None:
        self._plan = plan
        self._fits = plan.missing
        self._steps = steps(self._fits.values())
        self._queue = queue
        self._console = console
        self._published: set[str] = set()
        self._published_steps = 0
        self._running_steps: dict[str, int] = {}
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            expand=True,
            disable=not console.is_terminal,
        )
        self._trajectories_bar = self._bars.add_task("trajectories", total=queue.n_trajectories)
        self._fits_bar = self._bars.add_task("fits", total=len(self._fits))
        self._steps_bar = self._bars.add_task("steps", total=self._steps)
        self._trial_bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def grow(self, missing: Mapping[str, Iterable[Fit]]) -> None:
        """Take in the missing fits of trajectories that plan and queue have added."""
        added = {fit.id: fit for fits in missing.values() for fit in fits if fit.id not in self._fits}
        self._fits |= added
        self._steps += steps(added.values())
        self._bars.update(self._trajectories_bar, total=self._queue.n_trajectories)
        self._bars.update(self._fits_bar, total=len(self._fits))
        self._bars.update(self._steps_bar, total=self._steps)

    def running(self, key: str, place: str, step: int = 0) -> None:
        """Show where a trial is."""
        self._running_steps[key] = step
        if key not in self._trial_bars:
            self._trial_bars[key] = self._bars.add_task("", total=self._queue.n_needed(key))
        self._bars.update(self._trial_bars[key], description=f"  {self._label(key)}: {markup(place)}")
        self._show_fits_of(key)
        self._show_steps()

    def published(self, key: str, fit: str, row: Mapping[str, Any] | None) -> None:
        """Show that a fit is published.

        `row` holds its SHOWN columns (`sweeps.trial`) if the trial has just trained it.
        """
        self._running_steps.pop(key, None)
        if fit not in self._published:  # each trajectory that needs a shared fit reports it
            self._published.add(fit)
            self._published_steps += self._fits[fit].schedule.steps
        if row is not None:
            self._show_row(key, fit, row)
        self._show_fits_of(key)
        self._bars.update(self._fits_bar, completed=len(self._published))
        self._bars.update(self._trajectories_bar, completed=self._queue.n_finished)
        self._show_steps()

    def ended(self, key: str) -> None:
        """Take away the bar of a trial."""
        self._running_steps.pop(key, None)
        if (bar := self._trial_bars.pop(key, None)) is not None:
            self._bars.remove_task(bar)

    def message(self, key: str, kind: str, text: str) -> None:
        """Print a line about a trajectory. `kind` is rich markup, `text` is not."""
        self._console.print(f"{kind} {self._label(key)}: {markup(text)}", highlight=False)

    def draining(self, reason: str) -> None:
        """Say that the run begins no other fit, and why."""
        text = f"{reason}; the fits in training are published, and no other is begun"
        self._console.print(f"[yellow]ending:[/] {markup(text)}", highlight=False)

    def _label(self, key: str) -> str:
        return markup(self._plan.label(self._plan.by_id[key]))

    def _show_row(self, key: str, fit: str, row: Mapping[str, Any]) -> None:
        self._console.print(
            f"{self._label(key):<40} {self._fits[fit].recipe!s:<8}  {row['sparsity']:>7.2%} pruned  "
            f"{row['seconds']:.1f} s  {terminal.format_row(row)}",
            highlight=False,
        )

    def _show_fits_of(self, key: str) -> None:
        if key in self._trial_bars:
            done = self._queue.n_needed(key) - self._queue.n_missing(key)
            self._bars.update(self._trial_bars[key], completed=done)

    def _show_steps(self) -> None:
        self._bars.update(self._steps_bar, completed=self._published_steps + sum(self._running_steps.values()))
