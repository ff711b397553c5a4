"""Describe where and with which software a fit was computed, as columns of its row."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import resource
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]
DRIVER = Path("/proc/driver/nvidia/version")


@cache
def code() -> str:
    """Return 12 hex digits over the sources of this package, installed from git or not."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def checkout() -> tuple[str | None, bool | None]:
    """Return the git commit of the checkout that holds this package, and whether the package differs from it.

    None and None where there is no checkout, or no git.
    """
    try:
        _git("ls-files", "--error-unmatch", "__init__.py")  # fails in a repository around a virtual environment
        return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain", "."))
    except (OSError, subprocess.SubprocessError):
        return None, None


@cache
def changes() -> str | None:
    """Return 12 hex digits over what the checkout changes in its commit; None if it changes nothing or is none."""
    if checkout()[0] is None:
        return None
    difference = _git("diff", "--binary", "--no-ext-diff", "--no-textconv", "HEAD")
    return hashlib.sha256(difference.encode()).hexdigest()[:12] if difference else None


@cache
def packages() -> dict[str, str]:
    """Return the versions of all installed packages, by name."""
    found = {(package.metadata["Name"] or "").lower(): package.version for package in distributions()}
    return dict(sorted((name, number) for name, number in found.items() if name))


@cache
def driver() -> str | None:
    """Return the version of the NVIDIA driver; None if there is none."""
    try:
        found = re.search(r"\d+\.\d[\d.]*", DRIVER.read_text())
    except OSError:
        return None
    return found and found[0]


@cache
def description() -> dict[str, Any]:
    """Describe what all fits of this process have in common and what is too long for each of their rows."""
    return {"packages": packages(), "changes": changes(), "driver": driver(), "system": platform.platform()}


@cache
def key() -> str:
    """Return the id of the environment, 12 hex digits over its description."""
    return hashlib.sha256(json.dumps(description(), sort_keys=True).encode()).hexdigest()[:12]


def _git(*arguments: str) -> str:
    """Run git in this package, without locks, hooks and the caller's GIT_* variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments]
    asked = subprocess.run(command, cwd=PACKAGE, env=environment, capture_output=True, check=True, timeout=10)
    return asked.stdout.decode(errors="replace").strip()


@cache
def cpu() -> str:
    """Return the model name of the CPU, or its architecture if the system gives no name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def kernels(backend: str) -> str | None:
    """Return the hash of the kernels and their compiler; None for a backend without kernels."""
    if backend != "numba":
        return None
    from lip.fast.compilation import HASH

    return HASH


def begin(device: str) -> None:
    """Reset the peak memory of a CUDA device, so that it counts for the fit that begins."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def columns(device: str, backend: str) -> dict[str, object]:
    """Return the environment columns of a row; peak memory is of the process, or of the fit on CUDA."""
    import torch

    total = None
    if device.startswith("cuda"):
        device_name, peak = torch.cuda.get_device_name(device), torch.cuda.max_memory_allocated(device) / 2**20
        total = torch.cuda.get_device_properties(device).total_memory / 2**20
    else:
        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes where Linux counts kilobytes
        device_name, peak = device, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    cudnn = torch.backends.cudnn.version()
    commit, dirty = checkout()
    return {
        "device": device_name,
        "threads": torch.get_num_threads(),
        "backend": backend,
        "kernels": kernels(backend),
        "host": platform.node(),
        "cpu": cpu(),
        "peak_memory_mb": peak,
        "device_memory_mb": total,
        "version_lip": version("lottery-image-priors"),
        "version_python": platform.python_version(),
        "version_torch": torch.__version__,
        "version_numpy": _version("numpy"),
        "version_numba": _version("numba"),
        "version_cuda": torch.version.cuda,
        "version_cudnn": None if cudnn is None else str(cudnn),
        "code": code(),
        "commit": commit,
        "dirty": dirty,
        "environment": key(),
    }
