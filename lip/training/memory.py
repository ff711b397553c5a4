"""Estimate the memory of a fit from shapes alone, and refuse what does not fit before it is allocated."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from math import isqrt, prod

from lip.errors import InputError
from lip.specs.fit import Fit
from lip.specs.picture import DataSet
from lip.specs.schedule import Sgd
from lip.tasks.classify import Classify
from lip.tasks.degradation import Degradation
from lip.tasks.sense import Sense
from lip.training import machine
from lip.training.cost import forward_work, picture_work

PROCESS = 600e6
"""Bytes of a process that fits next to nothing."""
VALUE = 3.4
"""Bytes that stay allocated for every value that a forward pass of the dense network writes.

Both are for CPUs: peaks of 6 runs of `lip fit` with hourglasses (128 to 384 pixels, width 64 and 128, dense and numba,
one each) were 2 % below to 16 % above.
"""


def needed(fit: Fit) -> float:
    """Estimate the bytes that a fit takes on a CPU, its process included; 0 if it trains a generator."""
    if isinstance(fit.task, Classify):
        return PROCESS + _of_classifier(fit, fit.task)
    if not isinstance(fit.task, Degradation):
        return 0.0
    codes = len(fit.pictures) if fit.codes == "per_image" else 1
    network = codes * VALUE * forward_work(fit.prior, *fit.picture.shape).values
    system = 4 * fit.task.measurements * prod(fit.picture.shape) if isinstance(fit.task, Sense) else 0
    return PROCESS + network + system


def _of_classifier(fit: Fit, task: Classify) -> float:
    assert isinstance(fit.picture, DataSet)
    assert isinstance(fit.schedule, Sgd)
    batch = min(fit.schedule.batch, fit.picture.train)
    pictures = (fit.picture.train + fit.picture.test) * prod(fit.picture.shape)
    return batch * VALUE * picture_work(task, fit.prior, fit.picture).values + 2 * pictures


def check_memory(fits: Iterable[Fit]) -> float:
    """Return the most bytes that one of some fits takes. Raises InputError when that is more than there is."""
    largest = max(fits, key=needed, default=None)
    if largest is None:
        return 0.0
    most, there = needed(largest), machine.available_memory()
    if most > there:
        what, (height, width, _) = f"{largest.task.key} {largest.picture.name}", largest.picture.shape
        raise InputError(
            f"{what}: a fit to {width}x{height} pixels takes about {_gigabytes(most)} of memory, "
            f"and there are {_gigabytes(there)}; {_remedy(largest, there)}"
        )
    return most


def check_restoration(fit: Fit, height: int, width: int, factor: int = 1) -> None:
    """Refuse a photograph whose restoration takes more memory than there is.

    `fit` is that of the network, whose output is `factor` times as high and wide as the photograph. Raises InputError.
    """
    most, there = needed(fit), machine.available_memory()
    if most <= there:
        return

    def takes(percent: int) -> float:
        sides = (fit.prior.padded(max(1, side * percent // 100) * factor) for side in (height, width))
        return needed(fit.replace(picture=fit.picture.replace(**dict(zip(("height", "width"), sides, strict=True)))))

    percent = bisect_right(range(1, 100), there, key=takes)  # the most that fits; 0 if nothing does
    remedy = "use a smaller width, or a machine with more"
    if percent:
        smaller = " or a smaller factor" * (factor > 1)
        remedy = f"reduce it to {width * percent // 100}x{height * percent // 100}, or use a smaller width{smaller}"
    raise InputError(
        f"image {fit.picture.name}: to restore {width * factor}x{height * factor} pixels takes about "
        f"{_gigabytes(most)} of memory, and there are {_gigabytes(there)}; {remedy}"
    )


def _remedy(fit: Fit, there: float) -> str:
    """Name the largest size that fits: a little less than the memory of a network grows with its pixels."""
    height, width, _ = fit.picture.shape
    key, multiple = ("data_size", 1) if isinstance(fit.task, Classify) else ("size", fit.prior.multiple)
    share = max(0.0, there - PROCESS) / (needed(fit) - PROCESS)
    for side in range(isqrt(int(height * width * share)) // multiple * multiple, 0, -multiple):
        if needed(fit.replace(picture=fit.picture.replace(height=side, width=side))) <= there:
            return f"use {key}: {side} or less"
    return "use a machine with more"


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.3g} GB"
