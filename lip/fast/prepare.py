"""Compile and load every kernel before a fit begins."""

from __future__ import annotations

import os
import subprocess
import sys

from lip.errors import InputError
from lip.fast import accelerate  # noqa: F401  # imports every module that has kernels
from lip.fast.compilation import COMPLETE, FOLDER, KERNELS


def load() -> None:
    """Load every kernel; compile those that the folder lacks."""
    for kernel, types in KERNELS:
        kernel.compile(types)


def prepare() -> None:
    """Load every kernel; if need be a process of its own compiles them first, which one line on stderr announces.

    Raises InputError when the folder is not writable (numba needs that even to load), when the compilation fails or
    when a file there is damaged.
    """
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        writable = os.access(FOLDER, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise InputError(f"kernels cannot be kept in {FOLDER}; set NUMBA_CACHE_DIR to a folder that can be written")
    if not COMPLETE.exists():
        print("compiling kernels, once for this machine: about half a minute", file=sys.stderr, flush=True)
        code = "from lip.fast import prepare; prepare.load(); prepare.COMPLETE.touch()"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "0"}
        done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise _unusable((done.stderr.strip() or "killed").splitlines()[-1])
    try:
        load()
    except Exception as error:  # of many kinds: numba unpickles the files
        raise _unusable(f"{type(error).__name__}: {error}".partition("\n")[0]) from error


def _unusable(reason: str) -> InputError:
    remedy = "delete that folder or set NUMBA_CACHE_DIR to another"
    return InputError(f"kernels cannot be compiled to and loaded from {FOLDER} ({reason}); {remedy}")
