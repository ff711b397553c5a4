"""What the tests of several packages use."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

os.environ.pop("COLUMNS", None)  # xdist sets it, and rich would keep that width for all tests of a process


@pytest.fixture(scope="session")
def cifar_archive() -> Callable[..., Path]:
    """Makes an archive like CIFAR-10's binary version, with a few rows a file: labels count on, pixels are noise."""

    def make(path: Path, rows: int = 2, side: int = 32) -> Path:
        draw = np.random.default_rng(0)
        with tarfile.open(path, "w:gz") as tar:
            for number, member in enumerate((*(f"data_batch_{k}" for k in range(1, 6)), "test_batch")):
                table = draw.integers(256, size=(rows, 1 + 3 * side**2), dtype=np.uint8)
                table[:, 0] = (number + np.arange(rows)) % 10
                info = tarfile.TarInfo(f"cifar-10-batches-bin/{member}.bin")
                info.size = table.nbytes
                tar.addfile(info, io.BytesIO(table.tobytes()))
        return path

    return make
