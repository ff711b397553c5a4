"""Searches through Ray Tune, in processes of their own: killed, resumed, and run by two at once."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from lip.ledger.ledger import Ledger
from lip.training.run import run_fit
from sweeps.plan import Plan
from sweeps.spec import read
from tests.sweeps.helpers import Run, results, wait_for_fits
from tests.sweeps.search.conftest import trials

SPEC = """
name: tiny
profile: smoke
fixed: {rounds: 0}
grid: {image: [astronaut, chelsea], seed: [0, 1]}
search:
  space: {lr: {log: [1e-3, 1e-1]}, jitter: {uniform: [0, 0.1]}, width: {choice: [4, 8]}}
  trials: 12
  sampler: tpe
  parallel: 3
  racing: {first: 2}
  held_out: {image: [coffee], seed: [0]}
profiles: {smoke: {scales: 2, steps: 30}}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("spec") / "tiny.yaml"
    path.write_text(SPEC)
    return str(path)


@pytest.fixture(scope="module")
def undisturbed(spec: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The search without Ray, one fit after the other."""
    import torch

    torch.set_num_threads(1)
    ledger = Ledger(tmp_path_factory.mktemp("undisturbed"))
    plan = Plan.make(read(spec), ledger)
    while plan.missing:
        fit = next(iter(plan.missing.values()))
        run_fit(fit, plan.inputs, ledger)
        plan.published |= {fit.id}
        plan.grow(ledger, {fit.id})
    return ledger.root


def assert_as_undisturbed(spec: str, storage: Path, undisturbed: Path) -> None:
    found, expected = (Plan.make(read(spec), Ledger(folder), verified=True) for folder in (storage, undisturbed))
    assert trials(found.studies[0]) == trials(expected.studies[0])
    assert results(storage) == results(undisturbed), "to the last bit, and nothing else was trained"
    recorded = Ledger(storage).search("tiny", "smoke")
    assert recorded is not None
    assert [one["setting"] for one in recorded["settings"]] == [one.setting for one in expected.studies[0].candidates]


def test_killed_and_run_again_it_tries_the_same_settings(spec: str, undisturbed: Path, tmp_path: Path) -> None:
    run = Run("run", spec, "--storage", tmp_path, "--slots", 2)
    wait_for_fits(tmp_path, 18)
    run.process.kill()
    run.finish()
    code, output = Run("run", spec, "--storage", tmp_path, "--slots", 2).finish()
    assert code == 0, output
    assert "13 of 13 settings decided" in output
    assert_as_undisturbed(spec, tmp_path, undisturbed)


@pytest.mark.chaos
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_killed_at_random_moments_five_times(spec: str, undisturbed: Path, tmp_path: Path) -> None:
    draw = random.Random(int(os.environ.get("LIP_SEED", "0")))
    for _ in range(5):
        before = len(list(tmp_path.glob("fits/*/*.parquet")))
        run = Run("run", spec, "--storage", tmp_path, "--slots", 2)
        if before < 40:
            wait_for_fits(tmp_path, before + draw.randint(1, 8))
        time.sleep(draw.uniform(0, 1))
        os.killpg(run.process.pid, signal.SIGKILL)
        run.finish()
    code, output = Run("run", spec, "--storage", tmp_path, "--slots", 2).finish()
    assert code == 0, output
    assert_as_undisturbed(spec, tmp_path, undisturbed)


@pytest.mark.chaos
def test_two_drivers_search_together(spec: str, undisturbed: Path, tmp_path: Path) -> None:
    runs = [Run("run", spec, "--storage", tmp_path, "--slots", 1) for _ in range(2)]
    for run in runs:
        code, output = run.finish()
        assert code == 0, output
    assert_as_undisturbed(spec, tmp_path, undisturbed)
