"""Report which trajectories are done, running, failed or waiting."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from lip.ledger.ledger import Ledger
from sweeps.heartbeat import any_alive, running
from sweeps.plan import Plan
from sweeps.search.words import progress

STATES = ("done", "running", "failed", "waiting")


@dataclass(frozen=True)
class TrajectoryStatus:
    """The state of one trajectory."""

    label: str
    published: int
    """Its results that are published."""
    results: int
    state: str
    """One of STATES."""
    detail: str
    """Where a running trajectory is, or why a failed one failed."""


def statuses(plan: Plan, ledger: Ledger) -> list[TrajectoryStatus]:
    """Return the state of every trajectory of a plan."""
    remaining, failures, alive = plan.remaining_fits(), ledger.failures(), running(ledger.storage)
    found = []
    for trajectory in plan.sweep.trajectories:
        key = trajectory.id
        if key not in remaining:
            state, detail = "done", ""
        elif key in alive:
            state, detail = "running", alive[key]
        elif key in failures:
            state, detail = "failed", failures[key]
        else:
            state, detail = "waiting", ""
        published = sum(fit.id in plan.published for fit in trajectory.fits)
        found.append(TrajectoryStatus(plan.label(trajectory), published, len(trajectory.fits), state, detail))
    return found


def counts(found: list[TrajectoryStatus]) -> dict[str, int]:
    """Count the trajectories in each state."""
    counted = Counter(one.state for one in found)
    return {state: counted[state] for state in STATES}


def only_failures_left(found: list[TrajectoryStatus], ledger: Ledger) -> bool:
    """Tell whether nobody will finish what is left: it has failed, and no run lives that could try it again."""
    counted = counts(found)
    return not (counted["running"] or counted["waiting"] or any_alive(ledger.storage))


def as_json(plan: Plan, ledger: Ledger, found: list[TrajectoryStatus]) -> dict[str, Any]:
    """Return the state of a sweep as JSON values."""
    return {
        "sweep": plan.sweep.name,
        "profile": plan.sweep.profile,
        "storage": str(ledger.storage),
        "results": plan.counts.results,
        "published_results": plan.counts.published_results,
        "fits": plan.counts.fits,
        "published_fits": plan.counts.published,
        "trajectories": counts(found),
        "searches": {study.search.experiment: progress(study) for study in plan.studies},
        "notes": ledger.notes(plan.sweep.name, plan.sweep.profile),
        "running": {one.label: one.detail for one in found if one.state == "running"},
        "failed": {one.label: one.detail for one in found if one.state == "failed"},
    }
