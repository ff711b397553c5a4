"""Report a sweep's state: what is done, running, failed with cause, or waiting."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from lip.ledger.ledger import Ledger
from sweeps.plan import Plan, label
from sweeps.progress import running

STATES = ("done", "running", "failed", "waiting")


@dataclass(frozen=True)
class TrajectoryStatus:
    """One trajectory: how many of its results are published, its state, and where it is at or why it failed."""

    label: str
    published: int
    results: int
    state: str
    said: str


def statuses(plan: Plan, ledger: Ledger) -> list[TrajectoryStatus]:
    """Every trajectory of a plan as it stands in the ledger."""
    todo, failures, alive = plan.todo(), ledger.failures(), running(ledger, plan.sweep)
    found = []
    for trajectory in plan.sweep.trajectories:
        key = trajectory.id
        if key not in todo:
            state, said = "done", ""
        elif key in alive:
            state, said = "running", alive[key]
        elif key in failures:
            state, said = "failed", failures[key]
        else:
            state, said = "waiting", ""
        published = sum(fit.id in plan.published for fit in trajectory.fits)
        found.append(TrajectoryStatus(label(trajectory), published, len(trajectory.fits), state, said))
    return found


def counts(found: list[TrajectoryStatus]) -> dict[str, int]:
    """Count the trajectories in each state."""
    counted = Counter(one.state for one in found)
    return {state: counted[state] for state in STATES}


def as_json(plan: Plan, ledger: Ledger, found: list[TrajectoryStatus]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "sweep": plan.sweep.name,
        "profile": plan.sweep.profile,
        "storage": str(ledger.storage),
        "results": plan.counts.results,
        "published_results": plan.counts.published_results,
        "fits": plan.counts.fits,
        "published_fits": plan.counts.published,
        "trajectories": counts(found),
        "running": {one.label: one.said for one in found if one.state == "running"},
        "failed": {one.label: one.said for one in found if one.state == "failed"},
    }
