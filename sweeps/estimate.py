"""How long the missing fits will take, from what was measured: never from thin air."""

from __future__ import annotations

import platform
from collections.abc import Mapping

import numpy as np

from lip.fit import Fit
from lip.store import Ledger
from sweeps.plan import Plan

SIZE = ["task", "train_images", "prior", "width", "scales", "image_height", "image_width"]
"""The columns that a step's time goes by."""


def estimate(plan: Plan, ledger: Ledger, slots: int) -> str:
    """A sentence: the time for the missing fits on so many slots, and what that rests on."""
    rows = ledger.fits([*SIZE, "host", "steps", "seconds"]).to_pylist()
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
    kinds = {"task": fit.task.kind, "prior": fit.prior.kind}
    return _size_of_row({**fit.picture.columns(), **fit.prior.model_dump(), **kinds})


def _size_of_row(row: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(row.get(name) for name in SIZE)


def _time(fit: Fit, plan: Plan) -> float:
    import torch

    torch.set_num_threads(1)
    return fit.task.step_seconds(fit, plan.sweep.pixels)


def _readable(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
