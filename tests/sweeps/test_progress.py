from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from lip import terminal
from lip.ledger.ledger import Ledger
from sweeps.failures import Failures
from sweeps.plan import Plan
from sweeps.progress import Progress
from sweeps.queue import Queue
from sweeps.spec import read

Write = Callable[..., str]

ROW = dict.fromkeys(terminal.ROW_COLUMNS) | {"sparsity": 0.2, "seconds": 3.0, "step_stop_ema": 40}


class Screen:
    """A sweep of one trajectory and two fits, shown on a terminal."""

    def __init__(self, spec: str, ledger: Ledger) -> None:
        self.plan = Plan.make(read(spec), ledger)
        (self.trajectory,) = self.plan.sweep.trajectories
        self.first, self.second = self.plan.missing
        self.queue = Queue({self.trajectory.id: list(self.plan.missing)})
        self.file = io.StringIO()
        console = Console(file=self.file, width=400, soft_wrap=True, force_terminal=True)
        self.progress = Progress(self.plan, self.queue, console)
        self.failures = Failures(ledger, self.progress)

    @property
    def text(self) -> str:
        return self.file.getvalue()


@pytest.fixture
def screen(write: Write, tmp_path: Path) -> Screen:
    """The photograph has a name that rich would read as markup."""
    (tmp_path / "[").mkdir()
    name = str(tmp_path / "[" / "red].png")
    Image.effect_noise((32, 32), 50).save(name)
    spec = write(fixed={"image": name}, grid={"pruner": ["imp"]}, profiles={"smoke": {"rounds": 1, "steps": 5}})
    return Screen(spec, Ledger(tmp_path / "results"))


def test_a_published_fit_is_a_line_and_moves_the_bars(screen: Screen) -> None:
    key = screen.trajectory.id
    with screen.progress as progress:
        progress.running(key, "round 0, step 3, 20.00 dB", 3)
        screen.queue.published(screen.first)
        progress.published(key, screen.first, ROW)
    name = screen.trajectory.picture.name
    assert f"{name}, imp, seed 0" in screen.text, "and no markup error, which would fail a trial"
    assert "round 0    20.00% pruned  3.0 s  no clean image; ES-WMV stop at step 40" in screen.text
    last = screen.text.rpartition("trajectories")[2]
    assert "0/1" in last
    assert "1/2" in last
    assert "5/10" in last


def test_a_fit_that_another_trajectory_published_is_counted_without_a_line(screen: Screen) -> None:
    with screen.progress as progress:
        for fit in (screen.first, screen.second):
            screen.queue.published(fit)
            progress.published(screen.trajectory.id, fit, None)
    assert "pruned" not in screen.text
    assert "1/1" in screen.text.rpartition("trajectories")[2]


def test_failures_are_shown_as_they_are_and_recorded_until_overcome(screen: Screen, tmp_path: Path) -> None:
    key, ledger = screen.trajectory.id, Ledger(tmp_path / "results")
    with screen.progress:
        screen.failures.note(key, "[/] is full; will be retried once")
        assert ledger.failures() == {}
        screen.failures.failed(key, "OSError: [/] is full", "Traceback")
    assert "[/] is full; will be retried once" in screen.text
    assert "OSError: [/] is full" in screen.text
    assert screen.failures.count == 1
    assert ledger.failures() == {key: "OSError: [/] is full"}
    Failures(ledger, screen.progress).finished(key)
    assert ledger.failures() == {}
