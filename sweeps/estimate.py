"""How long the missing fits will take and what that costs, from what was measured: never from thin air."""

from __future__ import annotations

import json
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from math import floor
from typing import Any

import numpy as np

from lip.fit import Fit
from lip.picture import Picture
from lip.priors import Hourglass, Prior
from lip.store import Ledger
from sweeps.control import part_of
from sweeps.plan import Plan

OF_THIS_SWEEP = 20
"""Published fits of the sweep that are looked at per size."""
OF_THE_LEDGER = 300
"""Further rows of the ledger that are looked at."""

SPARE = 1.25
"""How much more memory than the peak of a fit's tensors a trial is given: the allocator cannot use all of it."""
CONTEXT = 600
"""MiB that CUDA itself takes of a GPU for every process."""

Size = tuple[Any, ...]
"""The task, the network, and the image or data set: what the time of a step depends on."""

OF_SIZE = ["task", "image_height", "image_width", "channels", "train_images"]
"""The columns of these; the network stands in the spec."""


def estimate(plan: Plan, ledger: Ledger, slots: int, gpus: float | None = None, price: float | None = None) -> str:
    """A sentence: hours of CPUs or GPUs for the missing fits, how long that is on so many slots, and its basis.

    `gpus` is the share of a GPU that a trial has (None: `share`), `price` what an hour of a CPU or GPU costs.
    """
    measured = _measured(plan, ledger)
    gpus = _share(plan, measured) if gpus is None else gpus
    steps: Counter[Size] = Counter()
    example: dict[Size, Fit] = {}
    for fit in plan.missing.values():
        size = _size_of(fit)
        steps[size] += fit.schedule.steps
        example[size] = fit
    hours: dict[str, float] = defaultdict(float)
    seconds = 0.0
    bases = set()
    for size, count in steps.items():
        device, per_step, basis = _rate(measured[size]) or _timed(example[size], plan)
        unit = "CPU" if device == "cpu" else "GPU"
        seconds += count * per_step
        hours[unit] += count * per_step / 3600 * (1 if unit == "CPU" else gpus)
        bases.add(basis)
    said = " and ".join(f"{_rounded(number)} {unit}-hours" for unit, number in hours.items())
    cost = f", {sum(hours.values()) * price:.2f} at {price:g} an hour" if price is not None else ""
    return f"about {said} ({_readable(seconds / slots)} on {slots} slots){cost}, from {', '.join(sorted(bases))}"


def share(plan: Plan, ledger: Ledger) -> float:
    """The share of a GPU that a trial needs, by the memory that published fits of the missing sizes have needed.

    1 if one of the sizes has not been measured on a GPU.
    """
    return _share(plan, _measured(plan, ledger))


def _share(plan: Plan, measured: Mapping[Size, list[dict[str, Any]]]) -> float:
    most = 0.0
    for size in {_size_of(fit) for fit in plan.missing.values()}:
        needed = [
            (SPARE * row["peak_memory_mb"] + CONTEXT) / row["device_memory_mb"]
            for row in measured[size]
            if row["device_memory_mb"]
        ]
        most = max(most, *needed, 0.0) if needed else 1.0
    return part_of(floor(1 / most)) if 0 < most < 1 else 1.0


def _measured(plan: Plan, ledger: Ledger) -> dict[Size, list[dict[str, Any]]]:
    columns = ["id", "spec", *OF_SIZE, "host", "device", "steps", "seconds", "peak_memory_mb", "device_memory_mb"]
    chosen: dict[Size, list[str]] = defaultdict(list)
    for key in plan.published:
        if len(ids := chosen[_size_of(plan.fits[key])]) < OF_THIS_SWEEP:
            ids.append(key)
    own = ledger.fits(columns, [key for ids in chosen.values() for key in ids])
    rows = {row["id"]: row for row in (own.to_pylist() + ledger.sample(columns, OF_THE_LEDGER).to_pylist())}
    measured: dict[Size, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.values():
        prior = json.loads(row["spec"]).get("prior", Hourglass().canonical())
        measured[_size(prior, row)].append(row)
    return measured


def _size_of(fit: Fit) -> Size:
    return _size_with(fit.prior, fit.picture, fit.task.kind)


@cache
def _size_with(prior: Prior, picture: Picture, task: str | None) -> Size:
    return _size(prior.canonical(), {**picture.columns(), "task": task})


def _size(prior: Any, columns: Mapping[str, Any]) -> Size:
    return json.dumps(prior, sort_keys=True), *(columns.get(name) for name in OF_SIZE)


def _rate(rows: list[dict[str, Any]]) -> tuple[str, float, str] | None:
    """Device, seconds per step and where they are from: this machine, else the device with most fits of this size."""
    own = [row for row in rows if row["host"] == platform.node()]
    for found, where in ((own, "on this machine"), (rows, "on other machines")):
        if found:
            device = Counter(row["device"] for row in found).most_common(1)[0][0]
            rates = [row["seconds"] / row["steps"] for row in found if row["device"] == device]
            return device, float(np.median(rates)), f"{_some(rates)} of this size {where} ({device})"
    return None


def _some(rates: Iterable[float]) -> str:
    count = len(list(rates))
    return f"{count} published fit{'s' * (count > 1)}"


def _timed(fit: Fit, plan: Plan) -> tuple[str, float, str]:
    import torch

    torch.set_num_threads(1)
    return "cpu", fit.task.step_seconds(fit, plan.sweep.pixels), "timing a few steps just now on a CPU of this machine"


def _rounded(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _readable(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
