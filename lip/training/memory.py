"""Estimate the memory of a restoration from shapes alone, and refuse what does not fit before it is allocated."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from math import isqrt, prod
from pathlib import Path

from lip.errors import InputError
from lip.specs.fit import Fit
from lip.tasks.degradation import Degradation
from lip.tasks.sense import Sense
from lip.training.cost import forward_work

PROCESS = 600e6
"""Bytes of a process that fits next to nothing."""
VALUE = 3.0
"""Bytes that stay allocated for every value that a forward pass of the dense network writes.

Both are for CPUs: peaks of 12 runs of `lip fit` with hourglasses (64 to 512 pixels, width 16 to 128, dense or numba)
were 13 % below to 13 % above.
"""

CGROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def needed(fit: Fit) -> float:
    """Estimate the bytes that a restoration takes on a CPU, its process included; 0 for other fits."""
    if not isinstance(fit.task, Degradation):
        return 0.0
    codes = len(fit.pictures) if fit.codes == "per_image" else 1
    network = codes * VALUE * forward_work(fit.prior, *fit.picture.shape).values
    system = 4 * fit.task.measurements * prod(fit.picture.shape) if isinstance(fit.task, Sense) else 0
    return PROCESS + network + system


def available() -> float:
    """Return the bytes that this process may have: of the machine, its control groups and its own limit."""
    limits = [float("inf")]
    with suppress(AttributeError, OSError, ValueError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(ImportError):
        import resource

        own, _ = resource.getrlimit(resource.RLIMIT_AS)
        limits += [own] if own != resource.RLIM_INFINITY else []
    return min(*limits, *_of_control_groups())


def _of_control_groups() -> list[float]:
    """The limits of the control groups that this process is in, of either version, and of those around them."""
    found = []
    with suppress(OSError):
        for controllers, path in re.findall(r"^\d+:(.*):/(.*)$", MEMBERSHIP.read_text(), re.MULTILINE):
            if controllers not in ("", "memory"):
                continue
            root, name = (CGROUPS / "memory", "memory.limit_in_bytes") if controllers else (CGROUPS, "memory.max")
            inner = root / path
            for folder in [inner, *inner.parents][: len(Path(path).parts) + 1]:
                with suppress(OSError, ValueError):  # the file says max where there is no limit
                    found.append(float((folder / name).read_text()))
    return found or [float("inf")]


def check_memory(fits: Iterable[Fit]) -> float:
    """Return the most bytes that one of some fits takes. Raises InputError when that is more than there is."""
    largest = max(fits, key=needed, default=None)
    if largest is None:
        return 0.0
    most, there = needed(largest), available()
    if most > there:
        height, width, _ = largest.picture.shape
        raise InputError(
            f"image {largest.picture.name}: a fit to {width}x{height} pixels takes about {_gigabytes(most)} of memory, "
            f"and there are {_gigabytes(there)}; {_remedy(largest, there)}"
        )
    return most


def _remedy(fit: Fit, there: float) -> str:
    """Name the largest size that fits: a little less than the memory of a network grows with its pixels."""
    height, width, _ = fit.picture.shape
    multiple = fit.prior.multiple
    share = max(0.0, there - PROCESS) / (needed(fit) - PROCESS)
    for side in range(isqrt(int(height * width * share)) // multiple * multiple, 0, -multiple):
        if needed(fit.replace(picture=fit.picture.replace(height=side, width=side))) <= there:
            return f"use size: {side} or less"
    return "use a machine with more"


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.3g} GB"
