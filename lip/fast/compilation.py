"""Compile the kernels before any fit begins, always to the same machine code.

LLVM may reorder sums and fuse products (`fastmath`); otherwise no sum would be vectorised. Its code for a loop depends
on the code around that loop, so the bits of a kernel could depend on the functions compiled with it. Three rules
prevent that:

- Every kernel is self-contained. numba inserts its `inlined` helpers before LLVM sees the code. As functions of their
  own they would be copied into every caller, and a process runs the copy that it compiled or loaded first.
- One process compiles all kernels, in one order and with one hash seed; a process that trains only loads them.
- The folder is named by a hash of everything that determines the machine code. numba alone would share files between
  sources and between CPUs. It also names a file in its index before it writes the file: a process killed in between
  leaves older code under a new index.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numba
import pooch
from numba import float32, int64, njit
from numba.core.registry import cpu_target

config: Any = numba.config  # its attributes are set as it is imported

NUMBER, COUNT = float32, int64
VECTOR, INDICES = float32[::1], int64[::1]
ARRAY3, ARRAY4, ARRAY6 = float32[:, :, ::1], float32[:, :, :, ::1], float32[:, :, :, :, :, ::1]

# Sums may be reordered and fused with products; nan and infinity are kept.
FLAGS: Any = {"fastmath": {"reassoc", "nsz", "contract"}, "error_model": "numpy"}

KERNELS: list[tuple[Any, tuple[Any, ...]]] = []
"""All kernels, each with the types of its arguments."""

inlined = njit(inline="always")


def _hash() -> str:
    settings = [getattr(config, name) for name in ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK")]
    cpu = cpu_target.target_context.codegen().magic_tuple()  # its name and features, by which numba compiles
    versions = version("numba"), version("llvmlite"), sys.version_info[:2]
    digest = hashlib.sha256(repr((versions, cpu, settings)).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


HASH = _hash()
"""12 hex digits of the sources of this package and of what compiles them: versions, settings, CPU name, features."""
FOLDER = Path(config.CACHE_DIR or pooch.os_cache("lottery-image-priors")).absolute() / f"kernels-{HASH}"
COMPLETE = FOLDER / "complete"
"""Exists once every kernel is compiled."""


def compiled(*types: Any) -> Callable[[Callable[..., None]], Any]:
    """Register a function as a kernel for these types; called with others it is compiled for those."""

    def decorate(function: Callable[..., None]) -> Any:
        elsewhere, config.CACHE_DIR = config.CACHE_DIR, str(FOLDER)
        try:
            kernel = njit(cache=True, **FLAGS)(function)
        finally:
            config.CACHE_DIR = elsewhere
        KERNELS.append((kernel, types))
        return kernel

    return decorate
