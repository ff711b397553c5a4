"""The sweep `paper` holds every experiment of the paper, and shares what they share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sweeps.plan import Plan
from sweeps.spec import SPECS, Sweep

ASIDE = {"paper", "smoke", "tasks", "tuning", "tuning_denoise", "tuning_inpaint"}
"""Sweeps that reproduce nothing of the paper."""


Shipped = Callable[..., Sweep]


@pytest.fixture(scope="module")
def paper(shipped: Shipped) -> Sweep:
    return shipped("paper", "mini")


def test_it_includes_every_experiment(paper: Sweep) -> None:
    assert {entry.experiment for entry in paper.entries} == {path.stem for path in SPECS.glob("*.yaml")} - ASIDE


def test_its_trajectories_are_those_of_the_experiments_alone(paper: Sweep, shipped: Shipped) -> None:
    for name in ("existence", "multi", "compat"):
        alone = [trajectory.id for trajectory in shipped(name, "mini").trajectories]
        assert [entry.trajectory.id for entry in paper.entries if entry.experiment == name] == alone


def test_what_experiments_share_is_planned_once(paper: Sweep, shipped: Shipped) -> None:
    plan = Plan(paper, frozenset())
    alone = sum(
        len(Plan(shipped(name, "mini"), frozenset()).fits) for name in {entry.experiment for entry in paper.entries}
    )
    assert len(plan.fits) < 0.65 * alone
