"""How long the missing fits will take, from what was measured: never from thin air."""

from __future__ import annotations

import platform

import numpy as np

from lip.fit import Fit
from lip.store import Ledger
from sweeps.plan import Plan


def estimate(plan: Plan, ledger: Ledger, slots: int) -> str:
    """A sentence: the time for the missing fits on so many slots, and what that rests on."""
    rows = ledger.fits(
        ["task", "prior", "width", "scales", "image_height", "image_width", "host", "steps", "seconds"]
    ).to_pylist()
    measured: dict[tuple[object, ...], list[float]] = {}
    for row in rows:
        if row["host"] == platform.node():
            measured.setdefault(_size_of_row(row), []).append(row["seconds"] / row["steps"])
    seconds, sampled, timed = 0.0, 0, 0
    for fit in plan.missing.values():
        size = _size_of(fit)
        if size not in measured:
            measured[size] = [_time(fit, plan)]
            timed += 1
        else:
            sampled = max(sampled, len(measured[size]))
        seconds += fit.schedule.steps * float(np.median(measured[size]))
    basis = "timing a few steps just now" if timed else f"{sampled} published fits of this size on this machine"
    return f"about {_readable(seconds / slots)} on {slots} CPU slots of this machine, from {basis}"


def _size_of(fit: Fit) -> tuple[object, ...]:
    prior = fit.prior.model_dump()
    return (
        fit.task.kind,
        fit.prior.kind,
        prior.get("width"),
        prior.get("scales"),
        fit.picture.height,
        fit.picture.width,
    )


def _size_of_row(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row[name] for name in ("task", "prior", "width", "scales", "image_height", "image_width"))


def _time(fit: Fit, plan: Plan) -> float:
    import torch

    torch.set_num_threads(1)
    return fit.task.step_seconds(fit, plan.sweep.pixels)


def _readable(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
