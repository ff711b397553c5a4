from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from lip.training.machine import available_memory, default_threads, usable_cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of control groups; the process is in none of them until a file `membership` says so."""
    monkeypatch.setattr("lip.training.machine.CGROUPS", tmp_path)
    monkeypatch.setattr("lip.training.machine.MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))
    for variable in ("SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def write(folder: Path, membership: str, files: dict[str, str]) -> None:
    for name, content in {"membership": membership, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/user/job\n", {"user/memory.max": "3000000000", "user/job/memory.max": "max"}),
        ("5:cpu:/\n4:memory:/job\n", {"memory/job/memory.limit_in_bytes": "3000000000"}),
        ("4:memory:/host/path\n", {"memory/memory.limit_in_bytes": "3000000000"}),
    ],
)
def test_control_groups_limit_memory(groups: Path, membership: str, files: dict[str, str]) -> None:
    write(groups, membership, files)
    assert available_memory() == 3e9


def test_the_limit_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (2_000_000_000, -1))
    assert available_memory() == 2e9


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/user/job\n", {"user/job/cpu.max": "max 100000", "user/cpu.max": "250000 100000"}, 3),
        (
            "4:cpu,cpuacct:/job\n",
            {"cpu,cpuacct/job/cpu.cfs_quota_us": "400000", "cpu,cpuacct/job/cpu.cfs_period_us": "100000"},
            4,
        ),
        (
            "4:cpu:/job\n",
            {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"},
            16,
        ),
    ],
)
def test_control_groups_limit_cores(groups: Path, membership: str, files: dict[str, str], cores: int) -> None:
    write(groups, membership, files)
    assert usable_cores() == cores


def test_the_task_of_slurm_limits_cores(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    assert usable_cores() == 2


@pytest.mark.parametrize(("asked", "threads"), [("4", 4), ("64", 16), ("0", 1), ("many", 16), (None, 16)])
def test_a_fit_takes_no_more_threads_than_openmp_may(
    groups: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, threads: int
) -> None:
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert default_threads() == threads
