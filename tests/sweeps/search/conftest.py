from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log10
from pathlib import Path
from typing import Any

import pytest

from lip.ledger.ledger import Ledger
from lip.specs.fit import Fit
from lip.specs.schedule import Schedule
from sweeps.plan import Plan
from sweeps.search.study import Study
from sweeps.spec import read
from tests.sweeps.helpers import publish

SEARCH = {
    "space": {"lr": {"log": [1e-3, 1e-1]}, "width": {"int": [8, 24], "step": 8}},
    "trials": 12,
    "sampler": "random",
}


@pytest.fixture
def searching(write: Callable[..., str]) -> Callable[..., str]:
    """Writes a sweep file with a search on two photographs and two seeds, parts of it replaced, and gives its path."""

    def make(search: Mapping[str, Any] | None = None, **blocks: object) -> str:
        usual = {
            "fixed": {"rounds": 0},
            "grid": {"image": ["astronaut", "chelsea"], "seed": [0, 1]},
            "profiles": {"smoke": {"steps": 40}},
        }
        whole = SEARCH | dict(search or {})
        return write(search={key: part for key, part in whole.items() if part is not None}, **(usual | blocks))

    return make


def psnr(fit: Fit) -> float:
    """An invented result: best at a learning rate of 0.04 and a width of 16, with a level for each photograph."""
    assert isinstance(fit.schedule, Schedule)
    level = {"astronaut": 20.0, "chelsea": 25.0, "coffee": 22.0}[fit.picture.name]
    return level - (log10(fit.schedule.lr) + 1.4) ** 2 - abs(fit.prior.width - 16) / 100 + fit.seed / 50  # type: ignore[attr-defined]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "results")


def plan_of(spec: str, ledger: Ledger) -> Plan:
    return Plan.make(read(spec), ledger)


def finish(spec: str, ledger: Ledger, most: int = 10_000) -> Plan:
    """Publish invented results until nothing is missing, or so many fits are published."""
    plan = plan_of(spec, ledger)
    while plan.missing and most:
        fit = next(iter(plan.missing.values()))
        publish(ledger, fit, psnr_stop_ema=psnr(fit), diverged=False)
        plan.published |= {fit.id}
        plan.grow(ledger, {fit.id})
        most -= 1
    return plan


def trials(study: Study) -> list[tuple[object, ...]]:
    """What was proposed and what came of it."""
    return [(one.setting, one.state, one.score, one.fits) for one in study.candidates]
