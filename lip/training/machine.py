"""Tell how much of this machine the process may use: its memory and its cores."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from math import ceil, inf
from pathlib import Path

from lip.errors import InputError

GPU_DEVICES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
"""What the drivers of NVIDIA, of Windows' Linux and of AMD make."""
CGROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available_memory() -> float:
    """Return the bytes that this process may have: of the machine, its control groups and its own limit."""
    limits = [inf]
    with suppress(AttributeError, OSError, ValueError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(ImportError):
        import resource

        own, _ = resource.getrlimit(resource.RLIMIT_AS)
        limits += [own] if own != resource.RLIM_INFINITY else []
    for folder in _control_groups("memory"):
        with suppress(OSError, ValueError):  # the file says max where there is no limit
            name = "memory.max" if (folder / "memory.max").exists() else "memory.limit_in_bytes"
            limits.append(float((folder / name).read_text()))
    return min(limits)


def usable_cores() -> int:
    """Return the cores that this process may use: by its affinity, its control groups and its Slurm task."""
    try:
        limits = [float(len(os.sched_getaffinity(0)))]
    except AttributeError:  # macOS has none
        limits = [float(os.cpu_count() or 1)]
    with suppress(KeyError, ValueError):
        limits.append(float(os.environ["SLURM_CPUS_PER_TASK"]))
    for folder in _control_groups("cpu"):
        with suppress(OSError, ValueError):
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if float(quota) > 0:
                limits.append(float(quota) / float(period))
    return max(1, ceil(min(limits)))


def may_have_gpu() -> bool:
    """Tell, without loading PyTorch, whether this machine shows a device of a GPU's driver."""
    return any(map(os.path.exists, GPU_DEVICES))


def default_threads() -> int:
    """Return the threads of a fit that is alone: all usable cores, but no more than OMP_NUM_THREADS."""
    with suppress(KeyError, ValueError):
        return max(1, min(int(os.environ["OMP_NUM_THREADS"]), usable_cores()))
    return usable_cores()


def check_device(device: str) -> None:
    """Refuse a device that PyTorch cannot use here. Raises InputError."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {device} cannot be used here: {str(error).splitlines()[0]}") from error


def _control_groups(controller: str) -> Iterator[Path]:
    """Yield the folders of the control groups that this process is in, of either version, and of those around them."""
    with suppress(OSError):
        for controllers, path in re.findall(r"^\d+:(.*):/(.*)$", MEMBERSHIP.read_text(), re.MULTILINE):
            if not controllers or controller in controllers.split(","):
                inner = (CGROUPS / controllers if controllers else CGROUPS) / path
                yield from [inner, *inner.parents][: len(Path(path).parts) + 1]
