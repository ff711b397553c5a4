"""Where and with what a fit was computed, as columns of its row."""

from __future__ import annotations

import hashlib
import platform
import resource
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path


@cache
def code() -> str:
    """12 hex digits over the sources of this package: tells which code made a row, installed from git or not."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def begin(device: str) -> None:
    """A fit begins: what the process has needed of a CUDA device before does not count as its peak memory."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def columns(device: str) -> dict[str, object]:
    """The environment columns of a row; peak memory is that of the process, or of the fit on a CUDA device."""
    import torch

    total = None
    if device.startswith("cuda"):
        device_name, peak = torch.cuda.get_device_name(device), torch.cuda.max_memory_allocated(device) / 2**20
        total = torch.cuda.get_device_properties(device).total_memory / 2**20
    else:
        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes where Linux counts kilobytes
        device_name, peak = device, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return {
        "device": device_name,
        "threads": torch.get_num_threads(),
        "host": platform.node(),
        "peak_memory_mb": peak,
        "device_memory_mb": total,
        "version_lip": version("lottery-image-priors"),
        "version_python": platform.python_version(),
        "version_torch": torch.__version__,
        "code": code(),
    }
