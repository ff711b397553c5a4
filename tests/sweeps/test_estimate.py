"""The cost of missing fits, by counts of work and by published fits."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest

from lip.ledger.ledger import Ledger
from lip.ledger.schema import FITS
from lip.training.cost import Work, step_work
from lip.training.model import Model
from lip.training.run import run_fit
from sweeps.estimate import Basis, estimate, nominal, share
from sweeps.plan import Plan
from sweeps.spec import read
from tests.sweeps.helpers import publish

Write = Callable[..., str]


def republish(ledger: Ledger, key: str, **values: object) -> None:
    """Publish a fit of this ledger again with other columns."""
    (row,) = ledger.fits(ids=[key]).to_pylist()
    ledger.rows.put(key, pa.Table.from_pylist([row | values], schema=FITS))


def test_without_any_fit_an_estimate_is_a_count_of_work_and_trains_nothing(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a model was made")

    monkeypatch.setattr(Model, "train", refuse)
    monkeypatch.setattr("sweeps.estimate._product_speed", lambda: (2.0, Basis(0)))
    monkeypatch.setattr("sweeps.estimate.find_spec", lambda name: None)
    sweep = read(write(fixed={"image": "astronaut", "rounds": 1, "steps": 360}))
    plan = Plan.make(sweep, ledger := Ledger(tmp_path / "results"))
    (dense, *_) = plan.fits.values()
    step = nominal(step_work(dense), 1.0, "dense")
    cost = estimate(plan, ledger, slots=2)
    assert cost.cpu_hours == pytest.approx(3 * 360 * step * 2.0 / 3600)
    assert cost.seconds == pytest.approx(3600 * cost.cpu_hours / 2)
    assert (cost.gpu_hours, cost.bases) == (0, (Basis(0),))


def test_an_estimate_goes_by_cpu_seconds_of_fits_of_the_size_whatever_their_wall_seconds(
    write: Write, tmp_path: Path
) -> None:
    sweep = read(write(fixed={"image": "astronaut", "rounds": 0, "steps": 5}, grid={"seed": [0, 1]}))
    ledger = Ledger(tmp_path / "results")
    first = sweep.trajectories[0].fits[0]
    run_fit(first, sweep.pixels, ledger, backend="dense")
    republish(ledger, first.id, cpu_seconds=7.2, seconds=720.0)
    cost = estimate(Plan.make(sweep, ledger), ledger, slots=1)
    assert cost.cpu_hours == pytest.approx(7.2 / 3600), "the other seed, of the same size"
    assert cost.bases == (Basis(1, same_size=True),)
    republish(ledger, first.id, cpu_seconds=None, seconds=720.0)
    unmeasured = estimate(Plan.make(sweep, ledger), ledger, slots=1)
    assert unmeasured.bases == (Basis(0),), "a CPU's wall seconds say little"
    republish(ledger, first.id, device="NVIDIA A10G", cpu_seconds=9.0, seconds=72.0, backend="cuda_graph")
    cost = estimate(Plan.make(sweep, ledger), ledger, slots=1, gpus=0.25)
    assert (cost.cpu_hours, cost.gpu_hours) == (0, pytest.approx(72 / 4 / 3600))
    assert cost.bases == (Basis(1, same_size=True, device="NVIDIA A10G"),)


def test_a_fit_that_ended_at_its_stop_took_its_time_for_the_steps_made(write: Write, tmp_path: Path) -> None:
    sweep = read(write(fixed={"image": "astronaut", "rounds": 0, "steps": 5}, grid={"seed": [0, 1]}))
    ledger = Ledger(tmp_path / "results")
    prior = {"task": "denoise", "image_height": 32, "image_width": 32, "channels": 3, "device": "cpu"}
    publish(ledger, sweep.trajectories[0].fits[0], **prior, backend="dense", steps=5, steps_done=2, cpu_seconds=3.6)
    assert estimate(Plan.make(sweep, ledger), ledger, slots=1).cpu_hours == pytest.approx(1.8 * 5 / 3600)


def test_fits_of_other_sizes_say_how_fast_a_machine_is(write: Write, tmp_path: Path) -> None:
    small = read(write(fixed={"image": "astronaut", "rounds": 0, "steps": 5}, grid={}))
    ledger = Ledger(tmp_path / "results")
    (fit,) = small.trajectories[0].fits
    run_fit(fit, small.pixels, ledger, backend="numba" if find_spec("numba") else "dense")
    (row,) = ledger.fits().to_pylist()
    slower = 3.0
    took = slower * 5 * nominal(step_work(fit), 1.0, row["backend"])
    republish(ledger, fit.id, cpu_seconds=took)
    large = read(write(fixed={"image": "astronaut", "rounds": 0, "steps": 8, "size": 64, "width": 32}, grid={}))
    plan = Plan.make(large, ledger)
    (missing,) = plan.missing.values()
    cost = estimate(plan, ledger, slots=1)
    assert cost.cpu_hours * 3600 == pytest.approx(slower * 8 * nominal(step_work(missing), 1.0, row["backend"]))
    assert cost.bases == (Basis(1),)


def test_the_kernels_make_sparse_steps_cheaper_and_pytorch_alone_does_not() -> None:
    work = Work(1e9, 1e6)
    dense, half, tenth = (nominal(work, density, "numba") for density in (1.0, 0.5, 0.1))
    assert dense == half > tenth > nominal(Work(0, 1e6), 0.1, "numba")
    assert nominal(work, 1.0, "dense") == nominal(work, 0.1, "dense")


def test_a_search_for_masks_is_counted(write: Write, tmp_path: Path) -> None:
    def hours(search: int) -> float:
        fixed = {"image": "astronaut", "sparsities": [0.95], "search": search}
        plan = Plan.make(read(write(fixed=fixed, grid={"pruner": ["oes"]})), ledger)
        return estimate(plan, ledger, slots=1).cpu_hours

    ledger = Ledger(tmp_path / "results")
    assert hours(20) > 5 * hours(1)


def test_the_share_of_a_gpu_is_what_published_fits_have_needed(write: Write, tmp_path: Path) -> None:
    """Rows as a GPU of 24 GiB would leave them: here is none."""
    sweep = read(write(profiles={"smoke": {"rounds": 1, "steps": 5}}))
    ledger = Ledger(tmp_path / "results")
    run_fit(sweep.trajectories[0].fits[0], sweep.pixels, ledger)
    plan = Plan.make(sweep, ledger)
    assert share(plan, ledger) == 1, "it ran on a CPU"
    (row,) = ledger.fits().to_pylist()
    for peak, part in ((3000, 0.2), (8000, 0.5), (20_000, 1)):
        republish(ledger, row["fit"], device="NVIDIA A10G", peak_memory_mb=peak, device_memory_mb=24_000)
        assert share(plan, ledger) == part  # a quarter more, and 600 MiB of CUDA's own
