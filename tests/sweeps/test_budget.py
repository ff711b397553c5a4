"""Budgets of hours and money, by a clock that is set by hand, and a real run that is drained."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from math import inf, nan
from pathlib import Path

import pytest

from lip.errors import InputError
from lip.ledger.ledger import Ledger
from sweeps.budget import Budget, Meter
from sweeps.estimate import Pace
from sweeps.plan import Plan
from sweeps.spec import read
from tests.sweeps.helpers import ENVIRONMENT, WAIT, publish

Cli = Callable[..., tuple[int, str]]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_hours_pass_whatever_a_run_does() -> None:
    clock = Clock()
    meter = Meter(Budget(hours=2, began=40.0), units=4, clock=clock)
    assert meter.seconds_left(0) == 7200 - 60
    clock.now += 7000
    assert meter.seconds_left(8) == 7200 - 7060


def test_money_is_spent_by_every_trial_for_all_that_it_holds() -> None:
    clock = Clock()
    meter = Meter(Budget(cost=6, price=1.5, began=0.0), units=2, clock=clock)
    assert meter.seconds_left(0) == pytest.approx(7200), "a trial costs 3 an hour"
    assert meter.seconds_left(4) == pytest.approx(1800)
    clock.now += 900
    assert meter.seconds_left(4) == pytest.approx(900)
    assert meter.cost == pytest.approx(3)
    clock.now += 900
    assert meter.seconds_left(1) == pytest.approx(3600 * (3 - 0.75) / 3), "one alone pays for less"


def test_without_limits_there_is_always_time() -> None:
    assert Meter(Budget(), units=1).seconds_left(3) == inf
    assert not Budget()


@pytest.mark.parametrize(
    ("hours", "cost", "price", "fault"),
    [
        (0.0, None, None, "--hours 0 is not a positive number; correct it"),
        (nan, None, None, "--hours nan is not a positive number; correct it"),
        (None, inf, 1.0, "--max-cost inf is not a positive number; correct it"),
        (None, 5.0, None, "--max-cost 5 needs a price; give --price, that of a CPU-hour or GPU-hour"),
        (None, 5.0, 0.0, "--max-cost 5 needs a price; give --price, that of a CPU-hour or GPU-hour"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(
    hours: float | None, cost: float | None, price: float | None, fault: str
) -> None:
    with pytest.raises(InputError) as raised:
        Budget.of(hours, cost, price)
    assert str(raised.value) == fault


def test_a_plan_says_how_far_a_budget_reaches(spec: str, tmp_path: Path, cli: Cli) -> None:
    ledger = Ledger(tmp_path / "results")
    (_, *missing) = Plan(read(spec)).fits.values()
    dense = Plan(read(spec)).fits[next(iter(Plan(read(spec)).fits))]
    prior = {"task": "denoise", "image_height": 32, "image_width": 32, "channels": 3, "steps": 60}
    publish(ledger, dense, **prior, device="cpu", backend="dense", cpu_seconds=3600.0)
    plan = Plan.make(read(spec), ledger)
    pace = Pace.now(plan, ledger)
    assert pace.seconds(missing, on_gpu=False) == {fit.id: pytest.approx(3600.0) for fit in missing}
    assert pace.seconds(missing, on_gpu=True) == {}, "a CPU's times say nothing about a GPU"
    options = ("--storage", ledger.url, "--slots", "1", "--price", "2")
    assert "covers about 50% of that" in cli("plan", spec, *options, "--hours", "1")[1]
    assert "a budget of 5 hours and 1 of cost covers about 25% of that" in " ".join(
        cli("plan", spec, *options, "--hours", "5", "--max-cost", "1")[1].split()
    )


def test_a_run_begins_no_fit_that_cannot_end_in_time(spec: str, tmp_path: Path, cli: Cli) -> None:
    ledger = Ledger(tmp_path / "results")
    dense = next(iter(Plan(read(spec)).fits.values()))
    prior = {"task": "denoise", "image_height": 32, "image_width": 32, "channels": 3, "steps": 60}
    publish(ledger, dense, **prior, device="cpu", backend="dense", cpu_seconds=36_000.0)
    done = subprocess.run(
        [sys.executable, "-m", "sweeps", "run", spec, "--storage", ledger.url, "--hours", "1"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
        timeout=WAIT,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    reason = "no fit that is left ends within the budget of 1 hours"
    assert f"2 still to do ({reason}); the same command resumes" in done.stdout
    assert len(ledger.fits(["fit"])) == 1
    assert [name for name in os.listdir(ledger.root) if name.startswith(".")] == []


DRAINED = """
import sys, threading, time
from rich.console import Console
from lip.ledger.ledger import Ledger
from sweeps.cluster import Resources, connected
from sweeps.drain import Drain
from sweeps.execute import execute
from sweeps.plan import Plan
from sweeps.session import close_to_others
from sweeps.spec import read

close_to_others()
ledger, drain = Ledger(sys.argv[2]), Drain()
plan = Plan.make(read(sys.argv[1]), ledger)

def request():
    while len(ledger.fits(["fit"])) < 2:
        time.sleep(0.05)
    drain.request("asked")

threading.Thread(target=request, daemon=True).start()
with connected(Resources(slots=1, backend="dense"), plan, ledger) as (resources, _):
    ending = execute(plan, ledger, resources, Console(), drain)
    print(ending.failed, ending.drained)
"""


def test_a_drained_run_publishes_what_is_in_training_and_begins_nothing_else(
    write: Callable[..., str], tmp_path: Path
) -> None:
    spec = write(fixed={"image": "astronaut", "rounds": 20, "width": 8, "scales": 2}, grid={"pruner": ["imp"]})
    done = subprocess.run(
        [sys.executable, "-c", DRAINED, spec, tmp_path / "results"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT | {"RAY_AUTH_MODE": "token"},
        start_new_session=True,
        timeout=WAIT,
    )
    assert done.stdout.splitlines()[-1] == "0 asked", done.stdout + done.stderr
    assert "ending: asked; the fits in training are published, and no other is begun" in done.stdout
    ledger = Ledger(tmp_path / "results")
    published = len(ledger.fits(["fit"]))
    assert 2 <= published < 21
    assert len(list(ledger.root.glob("next_masks/*/*"))) == published
    assert [name for name in os.listdir(ledger.root) if name.startswith(".")] == []
