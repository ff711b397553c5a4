"""Estimate the cost of missing fits, by published fits or by a count of work. Nothing is trained for it.

A step is taken to last as long as `nominal` says, times how much longer published fits have lasted than that: those of
its own size if there are any, else those of other sizes, else a matrix product.
"""

from __future__ import annotations

import json
import platform
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from math import floor
from typing import Any

import numpy as np

from lip.ledger.ledger import Ledger
from lip.masks import PRUNED_PER_ROUND
from lip.priors import PRIORS, Hourglass, Prior
from lip.pruners.oes import Oes
from lip.pruners.shuffled import Shuffled
from lip.specs.fit import Fit
from lip.specs.picture import Picture
from lip.specs.recipe import Recipe
from lip.training.cost import Work, forward_work, step_work
from sweeps.plan import Plan
from sweeps.scheduler import part_of

OF_THIS_SWEEP = 20
"""Published fits of the sweep that are looked at per size."""
OF_THE_LEDGER = 300
"""Further rows of the ledger that are looked at."""
OTHER_SIZES = 3
"""Sizes, those with most rows, that speak for sizes without any."""

SPARE = 1.25
"""How much more memory than the peak of a fit's tensors a trial is given: the allocator cannot use all of it."""
CONTEXT = 600
"""MiB that CUDA itself takes of a GPU for every process."""

STEP = 0.005
"""Seconds of a step besides its work. This and what follows was measured on one core of an AMD EPYC (Zen 4)."""
DENSE_RATE, SPARSE_RATE = 28e9, 55e9
"""Multiplications of the dense network a second: by PyTorch alone, and by the kernels, which do not do them all."""
VALUE = 0.5e-9
"""Seconds to write a value to memory and to read it again."""
PRODUCT_RATE = 40e9
"""Multiplications a second of a matrix product."""
NEAR, FAR = "within a third", "within a factor of two"
"""How far off it may be by fits of the same size, and by others: 9 of 10 are closer."""
PRODUCT_SIDE = 768
"""Of its matrices: three products take 40 milliseconds."""

Size = tuple[Any, ...]
"""The task, the network, and the image or data set: what the time of a dense step depends on."""

OF_SIZE = ["task", "image_height", "image_width", "channels", "train_images"]
"""The columns of these; the network stands in the spec."""


@dataclass(frozen=True)
class Estimate:
    """The cost of a plan's missing fits."""

    cpu_hours: float
    gpu_hours: float
    seconds: float
    """Until all are done, on so many `slots`."""
    slots: int
    bases: tuple[str, ...]
    """What it rests on, in words."""
    price: float | None = None
    """Of an hour of a CPU or GPU."""

    @property
    def cost(self) -> float | None:
        """The hours at their price."""
        return None if self.price is None else (self.cpu_hours + self.gpu_hours) * self.price

    def __str__(self) -> str:
        hours = {"CPU-hours": self.cpu_hours, "GPU-hours": self.gpu_hours}
        said = " and ".join(f"{_rounded(number)} {unit}" for unit, number in hours.items() if number)
        cost = "" if self.cost is None else f", {self.cost:.2f} at {self.price:g} an hour"
        return f"about {said} ({_readable(self.seconds)} on {self.slots} slots){cost}, from {'; '.join(self.bases)}"


def estimate(plan: Plan, ledger: Ledger, slots: int, gpus: float | None = None, price: float | None = None) -> Estimate:
    """Estimate the hours of CPUs or GPUs for the missing fits, and how long that is on so many slots.

    `gpus` is the share of a GPU that a trial has (None: `share`), `price` what an hour of a CPU or GPU costs.
    """
    measured = _measured(plan, ledger)
    gpus = _share(plan, measured) if gpus is None else gpus
    steps: Counter[tuple[Size, float, int]] = Counter()
    example: dict[Size, Fit] = {}
    for fit in plan.missing.values():
        size = _size_of(fit)
        steps[size, _density(fit), _search(fit.recipe)] += fit.schedule.steps
        example[size] = fit
    work = {size: step_work(fit) for size, fit in example.items()}
    speeds = {size: _speed(measured[size], work[size]) for size in work}
    if not all(speeds.values()):
        elsewhere = _other_speed(measured) or _product_speed()
    hours: dict[str, float] = defaultdict(float)
    seconds = 0.0
    bases = set()
    for (size, density, search), count in steps.items():
        device, backend, slower, basis = speeds[size] or ("cpu", _backend(example[size]), *elsewhere)
        per_step = nominal(work[size], density, backend) + search * nominal(work[size], 1.0, "dense")
        unit, share = ("CPU", 1.0) if device == "cpu" else ("GPU", gpus)
        seconds += count * per_step * slower
        hours[unit] += count * per_step * slower / 3600 * share
        bases.add(basis)
    return Estimate(hours["CPU"], hours["GPU"], seconds / slots, slots, tuple(sorted(bases)), price)


def nominal(work: Work, density: float, backend: str) -> float:
    """Seconds of a step with so much work when dense, on the core that the constants are of.

    The kernels skip pruned weights, which pays below a density of one half.
    """
    rest = STEP + VALUE * work.values
    if backend != "numba":
        return rest + work.multiplications / DENSE_RATE
    return rest + min(1.0, 0.05 + 2 * density) * work.multiplications / SPARSE_RATE


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
    columns = ["fit", "spec", *OF_SIZE, "host", "device", "backend", "sparsity", "steps", "seconds", "cpu_seconds"]
    columns += ["peak_memory_mb", "device_memory_mb"]
    chosen: dict[Size, list[str]] = defaultdict(list)
    for key in plan.published:
        if len(ids := chosen[_size_of(plan.fits[key])]) < OF_THIS_SWEEP:
            ids.append(key)
    own = ledger.fits(columns, [key for ids in chosen.values() for key in ids])
    rows = {row["fit"]: row for row in (own.to_pylist() + ledger.sample(columns, OF_THE_LEDGER).to_pylist())}
    measured: dict[Size, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.values():
        if row["device"] == "cpu" and row["cpu_seconds"] is None:
            continue  # an older row: its wall seconds say what else the machine did
        measured[_size(_prior_said(row), row)].append(row)
    return measured


def _size_of(fit: Fit) -> Size:
    return _size_with(fit.prior, fit.picture, fit.task.kind)


@cache
def _size_with(prior: Prior, picture: Picture, task: str | None) -> Size:
    return _size(prior.canonical(), {**picture.columns(), "task": task})


def _size(prior: Any, columns: Mapping[str, Any]) -> Size:
    return json.dumps(prior, sort_keys=True), *(columns.get(name) for name in OF_SIZE)


def _density(fit: Fit) -> float:
    """The fraction of the prunable weights that its mask keeps."""
    place = fit.recipe.target
    if isinstance(place, int):
        return (1 - PRUNED_PER_ROUND) ** place
    if place.sparsity is not None:
        return 1 - place.sparsity
    total, parameters = fit.task.counts(fit.prior, fit.picture, fit.covers)
    return place.n_kept(total, parameters) / total


def _search(recipe: Recipe) -> int:
    """Steps of the search for its mask per step of the fit."""
    if isinstance(recipe, Shuffled):
        return _search(recipe.template)
    return recipe.search if isinstance(recipe, Oes) else 0


def _backend(fit: Fit) -> str:
    """Return the backend of a fit on a CPU where none is asked for."""
    restored = fit.task.key == "image" and fit.prior.trains_weights
    return "numba" if restored and find_spec("numba") else "dense"


def _speed(rows: list[dict[str, Any]], work: Work) -> tuple[str, str, float, str] | None:
    """Device, backend, how many times `nominal`, and by what: fits of this machine, else of the device with most."""
    own = [row for row in rows if row["host"] == platform.node()]
    for found, where in ((own, "on this machine"), (rows, "on other machines")):
        if found:
            device, backend = Counter((row["device"], row["backend"]) for row in found).most_common(1)[0][0]
            times = [_slower(row, work) for row in found if row["device"] == device]
            return device, backend, float(np.median(times)), f"{_fits(times)} of this size {where} ({device}; {NEAR})"
    return None


def _other_speed(measured: Mapping[Size, list[dict[str, Any]]]) -> tuple[float, str] | None:
    """Compare published restorations of other sizes on CPUs with `nominal`: here, else elsewhere."""
    sizes = {size: [(row, work) for row in rows if (work := _work_of(row))] for size, rows in measured.items()}
    for where, hosts in (("on this machine", {platform.node()}), ("on other machines", None)):
        found = [[pair for pair in pairs if hosts is None or pair[0]["host"] in hosts] for pairs in sizes.values()]
        if pairs := [pair for pairs in sorted(found, key=len)[-OTHER_SIZES:] for pair in pairs]:
            times = [_slower(*pair) for pair in pairs]
            basis = f"a count of multiplications, at the speed of {_fits(times)} of other sizes {where} ({FAR})"
            return float(np.median(times)), basis
    return None


def _product_speed() -> tuple[float, str]:
    """Compare the speed of a matrix product on a core of this machine with `nominal`."""
    import torch

    torch.set_num_threads(1)
    matrix = torch.rand(PRODUCT_SIDE, PRODUCT_SIDE)
    seconds = []
    for _ in range(4):  # the first warms up
        started = time.process_time()
        matrix @ matrix
        seconds.append(time.process_time() - started)
    slower = min(seconds) * PRODUCT_RATE / PRODUCT_SIDE**3
    return slower, f"a count of multiplications, at the speed of a matrix product on a CPU of this machine ({FAR})"


def _slower(row: Mapping[str, Any], work: Work) -> float:
    """Compare a published fit's steps with `nominal`: CPU seconds of a CPU, seconds of a GPU."""
    seconds = row["cpu_seconds"] if row["device"] == "cpu" else row["seconds"]
    return seconds / row["steps"] / nominal(work, 1 - row["sparsity"], row["backend"])


def _fits(times: list[float]) -> str:
    return f"{len(times)} published fit{'s' * (len(times) > 1)}"


def _work_of(row: Mapping[str, Any]) -> Work | None:
    """The work of a step of a published fit; None if it is no restoration by an untrained net on a CPU."""
    said = _prior_said(row)
    if row["device"] != "cpu" or row["train_images"] is not None or said["kind"] not in PRIORS:
        return None
    kind = PRIORS[said["kind"]]
    prior = kind(**{name: value for name, value in said.items() if name in kind.model_fields})
    return prior.passes * forward_work(prior, row["image_height"], row["image_width"], row["channels"])


def _prior_said(row: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(row["spec"]).get("prior", Hourglass().canonical())


def _rounded(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _readable(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
