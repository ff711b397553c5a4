"""Keeping the memory of one step for the next."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""


@cache
def keep_freed_blocks() -> None:
    """Tell glibc's allocator to keep what is freed; does nothing where there is another.

    By default it returns every block of some megabytes to the system, which hands it out again zeroed, page by page:
    the maps of every layer, at every step. 32 MiB is the most that glibc allows.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)
        libc.mallopt(M_TRIM_THRESHOLD, 2**30)
