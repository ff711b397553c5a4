"""The sweep `paper` holds every experiment of the paper, and shares what they share."""

from __future__ import annotations

import pytest

from sweeps.plan import Plan
from sweeps.spec import SPECS, Sweep, read

ASIDE = {"paper", "smoke", "tasks"}
"""Sweeps that reproduce nothing of the paper."""


@pytest.fixture(scope="module")
def paper() -> Sweep:
    return read("paper", "mini")


def test_it_includes_every_experiment(paper: Sweep) -> None:
    assert {member.experiment for member in paper.members} == {path.stem for path in SPECS.glob("*.yaml")} - ASIDE


def test_its_trajectories_are_those_of_the_experiments_alone(paper: Sweep) -> None:
    for name in ("existence", "multi", "compat"):
        alone = [trajectory.id for trajectory in read(name, "mini").trajectories]
        assert [member.trajectory.id for member in paper.members if member.experiment == name] == alone


def test_what_experiments_share_is_planned_once_and_after_what_it_builds_on(paper: Sweep) -> None:
    plan = Plan(paper, frozenset())
    alone = sum(len(Plan(read(name, "mini"), frozenset()).fits) for name in {m.experiment for m in paper.members})
    assert len(plan.fits) < 0.65 * alone
    seen: set[str] = set()
    for key, fit in plan.fits.items():
        assert {source.id for source in fit.dependencies} <= seen
        seen.add(key)
    assert {point["fit"] for point in plan.points()} <= seen
