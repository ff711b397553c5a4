"""The cost of a step on a GPU, counted without one, does not grow."""

import importlib.util
from pathlib import Path


def test_a_step_stays_within_its_kernels_and_bytes() -> None:
    spec = importlib.util.spec_from_file_location("gpu_step", Path(__file__).with_name("gpu_step.py"))
    assert spec
    assert spec.loader
    gpu_step = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gpu_step)
    counted = gpu_step.count(size=512, width=128)
    assert counted.kernels.total() <= 392
    assert counted.bytes.total() <= 11.7e9
