"""Show a running sweep: one line per finished round, and below it bars that move."""

from __future__ import annotations

import json
import os
import platform
import time
import uuid
from collections import defaultdict
from contextlib import suppress
from math import inf
from random import Random
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from lip import terminal
from lip.ledger.ledger import Ledger
from lip.specs.fit import Fit
from sweeps.plan import Plan, label, steps
from sweeps.spec import Sweep

ALIVE_FOR = 60.0
"""Seconds after its last sign of life for which a run counts as running."""
FORGOTTEN_AFTER = 86_400.0
"""Seconds after its last sign of life for which a run that was killed leaves that sign behind."""
SECONDS_BETWEEN_SIGNS = 10.0
SHOWN = ["sparsity", "seconds", *terminal.ROW_COLUMNS]
"""The columns of a row that are shown when it is published."""


class Progress:
    """Follows a run; used as a context. Records failures, and leaves signs of life in the storage, by which `status`
    finds the run and trials find out whether they see the storage that it means."""

    def __init__(self, plan: Plan, ledger: Ledger, console: Console) -> None:
        self.plan = plan
        self.ledger = ledger
        self.console = console
        self.sign = f"{_signs(plan.sweep)}{uuid.uuid4().hex[:12]}.json"
        self.signed = -inf
        self.at: dict[str, str] = {}
        self.trajectories = {trajectory.id: trajectory for trajectory in plan.sweep.trajectories}
        self.needs = {key: {fit.id for fit in fits} for key, fits in plan.todo().items()}
        self.left = {key: set(fits) for key, fits in self.needs.items()}
        self.users: dict[str, list[str]] = defaultdict(list)
        for key, fits in self.needs.items():
            for fit in fits:
                self.users[fit].append(key)
        self.published: set[str] = set()
        self.published_steps = 0
        self.failures = 0
        self.overcome = ledger.failures().keys() & self.needs.keys()
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
        self.ledger.storage.write(self.sign, self._said())
        for name, (age, _) in _signs_of(self.ledger, _signs(self.plan.sweep)).items():
            if age > FORGOTTEN_AFTER:  # that run was killed; one whose clock is wrong gives its sign again
                self.ledger.storage.remove(name)
        self.bars.start()
        return self

    def order(self) -> list[str]:
        """The unfinished trajectories as the sweep has them; beside other runs of it in an order of this run's own, so
        that all of them do not make the same fits at the same time."""
        keys = list(self.needs)
        others = _signs_of(self.ledger, _signs(self.plan.sweep))
        if any(name != self.sign and age < ALIVE_FOR for name, (age, _) in others.items()):
            Random(self.sign).shuffle(keys)
            self.console.print("this sweep is run elsewhere too, or was a moment ago: the order is a random one")
        return keys

    def __exit__(self, *_: object) -> None:
        self.bars.stop()
        with suppress(OSError):
            self.ledger.storage.remove(self.sign)

    def started(self, key: str) -> None:
        """A trial has begun."""
        self.at[key] = "starting"

    def heard(self, key: str, report: dict[str, Any]) -> None:
        """Take what a trial reports: a step on the way, a published fit, or what it waits for."""
        if "published" in report:
            self._published(key, report["published"], json.loads(report["row"]))
        elif "step" in report:
            self.running_steps[key] = report["step"]
            self.at[key] = f"{report['place']}, step {report['step']}, {report['said']}"
            self._bar(key)
        elif "waiting" in report:
            self.at[key] = f"waiting {report['waiting']}"
            self._bar(key)
        self.bars.update(self.steps_bar, completed=self.published_steps + sum(self.running_steps.values()))
        self.alive()

    def note(self, key: str, text: str) -> None:
        """Something happened to a trajectory that is not its end."""
        self.console.print(f"[yellow]again[/] {self._label(key)}: {escape(text)}", highlight=False)

    def failed(self, key: str, cause: str) -> None:
        """A trajectory has failed for good."""
        self.failures += 1
        self.console.print(f"[red]failed[/] {self._label(key)}: {escape(cause)}", highlight=False)
        with suppress(OSError):  # the disk that is full may be why it failed
            self.ledger.record_failure(key, cause)

    def finished(self, key: str) -> None:
        """A trajectory is published whole."""
        if key in self.overcome:
            with suppress(OSError):
                self.ledger.clear_failure(key)

    def ended(self, key: str) -> None:
        """A trial has ended, one way or the other."""
        self.at.pop(key, None)
        self.running_steps.pop(key, None)
        if (bar := self.trials.pop(key, None)) is not None:
            self.bars.remove_task(bar)

    def alive(self) -> None:
        """Give a sign of life, every now and then."""
        if time.monotonic() - self.signed > SECONDS_BETWEEN_SIGNS:
            self.signed = time.monotonic()
            with suppress(OSError):  # whoever waits for the storage finds the sign that was there before
                self.ledger.storage.write(self.sign, self._said())

    def _published(self, key: str, fit: str, rows: list[dict[str, Any]]) -> None:
        self.running_steps.pop(key, None)
        if fit not in self.published:  # a shared fit is heard of once from each that needs it
            self.published.add(fit)
            self.published_steps += self.plan.fits[fit].schedule.steps
            for user in self.users[fit]:
                self.left[user].discard(fit)
                if not self.left[user]:
                    self.bars.advance(self.trajectories_bar)
            self.bars.update(self.fits_bar, completed=len(self.published))
        for row in rows:  # one if it was trained just now, else none
            self._line(key, self.plan.fits[fit], row)
        if key in self.trials:
            self._bar(key)

    def _label(self, key: str) -> str:
        return escape(label(self.trajectories[key]))

    def _bar(self, key: str) -> None:
        if key not in self.trials:
            self.trials[key] = self.bars.add_task("", total=len(self.needs[key]))
        self.bars.update(
            self.trials[key],
            completed=len(self.needs[key]) - len(self.left[key]),
            description=f"  {self._label(key)}: {escape(self.at.get(key, ''))}",
        )

    def _line(self, key: str, fit: Fit, row: dict[str, Any]) -> None:
        self.console.print(
            f"{self._label(key):<40} {fit.recipe!s:<8}  {row['sparsity']:>7.2%} pruned  "
            f"{row['seconds']:.1f} s  {terminal.format_row(row)}",
            highlight=False,
        )

    def _said(self) -> bytes:
        own = {"host": platform.node(), "process": os.getpid()}
        return json.dumps({"time": time.time(), "at": self.at, **own}).encode()


def running(ledger: Ledger, sweep: Sweep) -> dict[str, str]:
    """The trajectories (by id) that living runs of a sweep are at, and where."""
    at: dict[str, str] = {}
    for age, said in _signs_of(ledger, _signs(sweep)).values():
        at |= said if age < ALIVE_FOR else {}
    return at


def preceded(ledger: Ledger, sign: str, key: str) -> bool:
    """Tell whether a living run of the same sweep, earlier by name, is working at a trajectory."""
    others: dict[str, tuple[float, dict[str, str]]] = {}
    with suppress(OSError):  # of a storage that is away
        others = _signs_of(ledger, sign[: sign.rindex("-") + 1])
    return any(name < sign and age < ALIVE_FOR and key in at for name, (age, at) in others.items())


def _signs_of(ledger: Ledger, beginning: str) -> dict[str, tuple[float, dict[str, str]]]:
    """The signs of life of the runs of a sweep by their names: seconds since, and what the run is at."""
    signs = {}
    for name in ledger.storage.names():
        if name.startswith(beginning):
            with suppress(OSError, ValueError, KeyError, TypeError):
                sign = json.loads(ledger.storage.read(name))
                age = inf if _killed(sign) else time.time() - sign["time"]
                signs[name] = age, dict(sign["at"])
    return signs


def _killed(sign: dict[str, Any]) -> bool:
    """Tell whether a run of this machine is gone without having taken its sign away."""
    if sign.get("host") != platform.node():
        return False
    try:
        os.kill(sign["process"], 0)  # which does nothing to it
    except OSError as error:  # or it is somebody else's
        return isinstance(error, ProcessLookupError)
    return False


def _signs(sweep: Sweep) -> str:
    """Return how the names of a sweep's signs of life begin: one per run."""
    return f".running-{sweep.name}.{sweep.profile}-"
