"""Estimate the cost of missing fits without training any.

The time of a step is that of `nominal`, times how much slower published fits were than that: fits of the same size if
there are any, else fits of other sizes, else a matrix product.
"""

from __future__ import annotations

import json
import platform
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from math import floor
from typing import Any, Self

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
from sweeps.plan import Plan, with_dependencies
from sweeps.scheduler import share_for

OF_THIS_SWEEP = 20
"""Published fits of the sweep that are read per size."""
OF_THE_LEDGER = 300
"""Further rows of the ledger that are read."""
OTHER_SIZES = 3
"""Sizes, those with most rows, that stand for sizes without any."""

EXAMPLES = 20
"""Drawn settings that stand for those that a search has not proposed yet."""

SPARE = 1.25
"""Memory for a trial, as a multiple of its tensors' peak: the allocator cannot use all of it."""
CONTEXT = 600
"""MiB of a GPU that CUDA itself uses per process."""

STEP = 0.005
"""Seconds of a step besides its work. This and the constants below were measured on one core of an AMD EPYC (Zen 4)."""
DENSE_RATE, SPARSE_RATE = 28e9, 55e9
"""Multiplications of the dense network per second: by PyTorch, and by the kernels, which skip some of them."""
VALUE = 0.5e-9
"""Seconds to write a value to memory and to read it again."""
PRODUCT_RATE = 40e9
"""Multiplications per second of a matrix product."""
PRODUCT_SIDE = 768
"""The side of its matrices: three products take 40 milliseconds."""

Size = tuple[Any, ...]
"""The task, the network, and the image or data set: what the time of a dense step depends on."""

Kind = tuple[Size, float, int]
"""Besides its size what the time of a step depends on: the density, and the steps of a mask's search."""

SIZE_COLUMNS = ["task", "image_height", "image_width", "channels", "train_images"]
"""The columns of a row that are part of its size. The network is in its spec."""


@dataclass(frozen=True, order=True)
class Basis:
    """The measurements that an estimate rests on."""

    fits: int
    """Published fits; 0: a matrix product on this machine."""
    same_size: bool = False
    here: bool = True
    """They ran on this machine."""
    device: str = "cpu"


@dataclass(frozen=True)
class Estimate:
    """The cost of the missing fits of a plan."""

    cpu_hours: float
    gpu_hours: float
    seconds: float
    """Until all are done, on all slots."""
    bases: tuple[Basis, ...]


def estimate(plan: Plan, ledger: Ledger, slots: int, gpus: float | None = None) -> Estimate:
    """Estimate the hours of the missing fits, and their time on all slots.

    `gpus` is the share of a GPU of each trial (None: `share`). What searches may still want counts as well.
    """
    measured = _measured(plan, ledger)
    pace = Pace(measured)
    gpus = _share(plan, measured) if gpus is None else gpus
    steps: dict[tuple[float, Basis], float] = defaultdict(float)
    for times, fit in _expected(plan):
        steps[pace.of(fit)] += times * fit.schedule.steps
    hours: dict[str, float] = defaultdict(float)
    for (per_step, basis), number in steps.items():
        unit, share = ("CPU", 1.0) if basis.device == "cpu" else ("GPU", gpus)
        hours[unit] += number * per_step / 3600 * share
    seconds = sum(number * per_step for (per_step, _), number in steps.items())
    return Estimate(hours["CPU"], hours["GPU"], seconds / slots, tuple(sorted({basis for _, basis in steps})))


class Pace:
    """The seconds that steps take, by the published fits that were measured when it was made."""

    def __init__(self, measured: Mapping[Size, list[dict[str, Any]]]) -> None:
        self._measured = measured
        self._per_step: dict[Kind, tuple[float, Basis]] = {}
        self._speeds: dict[Size, tuple[Work, Speed]] = {}

    @classmethod
    def now(cls, plan: Plan, ledger: Ledger) -> Self:
        """Measure what is published now."""
        return cls(_measured(plan, ledger))

    def of(self, fit: Fit) -> tuple[float, Basis]:
        """Estimate the seconds of a step of a fit, and tell what that rests on."""
        kind = size, density, search = _size_of(fit), _density(fit), _search(fit.recipe)
        if kind not in self._per_step:
            work, speed = self._speed_of(size, fit)
            per_step = nominal(work, density, speed.backend) + search * nominal(work, 1.0, "dense")
            self._per_step[kind] = per_step * speed.slowdown, speed.basis
        return self._per_step[kind]

    def seconds(self, fits: Iterable[Fit], on_gpu: bool) -> dict[str, float]:
        """Estimate the seconds of fits, by id; of those alone that fits of this kind of device tell about."""
        found = {fit.id: (fit.schedule.steps, *self.of(fit)) for fit in fits}
        return {key: steps * each for key, (steps, each, basis) in found.items() if (basis.device != "cpu") == on_gpu}

    def _speed_of(self, size: Size, fit: Fit) -> tuple[Work, Speed]:
        if size not in self._speeds:
            work = step_work(fit)
            speed = _speed(self._measured.get(size, []), work) or Speed(_backend(fit), *self._elsewhere)
            self._speeds[size] = work, speed
        return self._speeds[size]

    @cached_property
    def _elsewhere(self) -> tuple[float, Basis]:
        """The slowdown for sizes without any measurement."""
        return _other_speed(self._measured) or _product_speed()


def _expected(plan: Plan) -> Iterator[tuple[float, Fit]]:
    """Yield the missing fits and those that searches may still want, with the number of times that each counts."""
    for fit in plan.missing.values():
        yield 1.0, fit
    for study in plan.studies:
        for times, trajectories in study.to_come(EXAMPLES):
            fits = {fit.id: fit for trajectory in trajectories for fit in with_dependencies(trajectory)}
            yield from ((times, fit) for key, fit in fits.items() if key not in plan.fits)


def nominal(work: Work, density: float, backend: str) -> float:
    """Return the seconds of a step on the core that was measured.

    `work` is that of the dense network. The kernels skip pruned weights, which pays below a density of one half.
    """
    rest = STEP + VALUE * work.values
    if backend != "numba":
        return rest + work.multiplications / DENSE_RATE
    return rest + min(1.0, 0.05 + 2 * density) * work.multiplications / SPARSE_RATE


def share(plan: Plan, ledger: Ledger) -> float:
    """Return the share of a GPU whose memory a trial needs.

    It comes from published fits of the missing sizes, and is 1 if one of the sizes was not measured on a GPU.
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
    return share_for(floor(1 / most)) if 0 < most < 1 else 1.0


def _measured(plan: Plan, ledger: Ledger) -> dict[Size, list[dict[str, Any]]]:
    columns = ["fit", "spec", *SIZE_COLUMNS, "host", "device", "backend", "sparsity", "steps", "seconds", "cpu_seconds"]
    columns += ["steps_done", "peak_memory_mb", "device_memory_mb"]
    chosen: dict[Size, list[str]] = defaultdict(list)
    for key in plan.published:
        if len(ids := chosen[_size_of(plan.fits[key])]) < OF_THIS_SWEEP:
            ids.append(key)
    own = ledger.fits(columns, [key for ids in chosen.values() for key in ids])
    rows = {row["fit"]: row for row in (own.to_pylist() + ledger.sample(columns, OF_THE_LEDGER).to_pylist())}
    measured: dict[Size, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.values():
        if row["device"] == "cpu" and row["cpu_seconds"] is None:
            continue  # an older row, whose wall seconds depend on what else the machine did
        measured[_size(_prior_of(row), row)].append(row)
    return measured


def _size_of(fit: Fit) -> Size:
    return _size_with(fit.prior, fit.picture, fit.task.kind)


@cache
def _size_with(prior: Prior, picture: Picture, task: str | None) -> Size:
    return _size(prior.canonical(), {**picture.columns(), "task": task})


def _size(prior: Any, columns: Mapping[str, Any]) -> Size:
    return json.dumps(prior, sort_keys=True), *(columns.get(name) for name in SIZE_COLUMNS)


def _density(fit: Fit) -> float:
    """Return the fraction of prunable weights that a fit's mask keeps."""
    place = fit.recipe.target
    if isinstance(place, int):
        return (1 - PRUNED_PER_ROUND) ** place
    if place.sparsity is not None:
        return 1 - place.sparsity
    total, parameters = fit.task.counts(fit.prior, fit.picture, fit.covers)
    return place.n_kept(total, parameters) / total


def _search(recipe: Recipe) -> int:
    """Count the steps of a mask's search per step of the fit."""
    if isinstance(recipe, Shuffled):
        return _search(recipe.template)
    return recipe.search if isinstance(recipe, Oes) else 0


def _backend(fit: Fit) -> str:
    """Return the backend that a fit uses on a CPU by default."""
    restored = fit.task.key == "image" and fit.prior.trains_weights
    return "numba" if restored and find_spec("numba") else "dense"


@dataclass(frozen=True)
class Speed:
    """The measured speed of steps of one size."""

    backend: str
    slowdown: float
    """Seconds of a step as a multiple of `nominal`."""
    basis: Basis


def _speed(rows: list[dict[str, Any]], work: Work) -> Speed | None:
    """Return the speed of fits of one size.

    Of those on this machine, else of those on the device with most of them.
    """
    own = [row for row in rows if row["host"] == platform.node()]
    for found, here in ((own, True), (rows, False)):
        if found:
            device, backend = Counter((row["device"], row["backend"]) for row in found).most_common(1)[0][0]
            slowdowns = [_slowdown(row, work) for row in found if row["device"] == device]
            return Speed(backend, float(np.median(slowdowns)), Basis(len(slowdowns), True, here, device))
    return None


def _other_speed(measured: Mapping[Size, list[dict[str, Any]]]) -> tuple[float, Basis] | None:
    """Return the slowdown of fits of other sizes: here, else elsewhere."""
    sizes = {size: [(row, work) for row in rows if (work := _work_of(row))] for size, rows in measured.items()}
    for here in (True, False):
        found = [[pair for pair in pairs if not here or pair[0]["host"] == platform.node()] for pairs in sizes.values()]
        if pairs := [pair for pairs in sorted(found, key=len)[-OTHER_SIZES:] for pair in pairs]:
            slowdowns = [_slowdown(*pair) for pair in pairs]
            return float(np.median(slowdowns)), Basis(len(slowdowns), here=here)
    return None


def _product_speed() -> tuple[float, Basis]:
    """Return the slowdown of a matrix product on this machine."""
    import torch

    torch.set_num_threads(1)
    matrix = torch.rand(PRODUCT_SIDE, PRODUCT_SIDE)
    seconds = []
    for _ in range(4):  # the first warms up
        started = time.process_time()
        matrix @ matrix
        seconds.append(time.process_time() - started)
    return min(seconds) * PRODUCT_RATE / PRODUCT_SIDE**3, Basis(0)


def _slowdown(row: Mapping[str, Any], work: Work) -> float:
    """Return a published fit's time as a multiple of `nominal`.

    CPU seconds count on a CPU, seconds on a GPU.
    """
    seconds = row["cpu_seconds"] if row["device"] == "cpu" else row["seconds"]
    return seconds / (row["steps_done"] or row["steps"]) / nominal(work, 1 - row["sparsity"], row["backend"])


def _work_of(row: Mapping[str, Any]) -> Work | None:
    """Return the work of a step of a published fit.

    None unless an untrained network restored an image on a CPU.
    """
    fields = _prior_of(row)
    if row["device"] != "cpu" or row["train_images"] is not None or fields["kind"] not in PRIORS:
        return None
    kind = PRIORS[fields["kind"]]
    prior = kind(**{name: value for name, value in fields.items() if name in kind.model_fields})
    return prior.passes * forward_work(prior, row["image_height"], row["image_width"], row["channels"])


def _prior_of(row: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(row["spec"]).get("prior", Hourglass().canonical())
