from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from rich.console import Console

from lip.ledger.ledger import Ledger
from lip.ledger.schema import FITS, SWEEP_ROWS
from lip.training.cost import Work, step_work
from lip.training.model import Model
from lip.training.run import run_fit
from sweeps.estimate import estimate, nominal, share
from sweeps.plan import Plan, label, needed
from sweeps.progress import ALIVE_FOR, FORGOTTEN_AFTER, SHOWN, Progress, _signs, running
from sweeps.spec import read

Write = Callable[..., str]


def test_the_dense_run_is_shared_and_counted_once(write: Write) -> None:
    plan = Plan(
        read(write(grid={"pruner": ["imp", "random", "snip"], "rewind": [0, 20]}, profiles={"smoke": {"rounds": 3}})),
        frozenset(),
    )
    # 1 dense, 1 short dense to rewind to, 3 rounds of 6 trajectories
    assert len(plan.fits) == 1 + 1 + 3 * 6
    counts = plan.counts
    assert (counts.results, counts.own, counts.shared) == (6 * 4, 1 + 3 * 6, 5)
    assert counts.extra == {"to rewind to": 1, "of generators": 0, "to take masks from": 0}
    assert str(counts) == (
        "24 results from 20 fits: 19 of their own (5 results share another's), 1 extra run to rewind to"
    )
    assert counts.progress == "0 of 24 results published, 0 of 20 fits"
    labels = {label(trajectory) for trajectory in plan.sweep.trajectories}
    assert labels >= {"astronaut, imp, seed 0", "astronaut, snip, seed 0, rewind 20 %"}


def test_the_smoke_sweep_is_counted() -> None:
    counts = Plan(read("smoke")).counts
    assert str(counts) == (
        "60 results from 52 fits: 50 of their own (10 results share another's), 2 extra runs to rewind to"
    )


def test_extra_runs_are_told_apart() -> None:
    assert Plan(read("gan", "smoke")).counts.extra == {"to rewind to": 0, "of generators": 6, "to take masks from": 0}
    assert Plan(read("transfer", "smoke")).counts.extra["to take masks from"] > 0


def test_a_transfer_needs_its_source_tickets_but_not_the_last_source_fit(write: Write) -> None:
    plan = Plan(read(write(grid={"source_image": ["chelsea"], "pruner": ["imp"]})))
    (trajectory,) = plan.sweep.trajectories
    order = needed(trajectory)
    assert [(fit.picture.name, fit.recipe.round) for fit in order] == [
        ("astronaut", 0),
        *(pair for k in range(2) for pair in (("chelsea", k), ("astronaut", k + 1))),
    ]
    assert label(trajectory) == "astronaut, masks of chelsea, imp, seed 0"


def test_what_others_wait_for_is_made_before_what_is_ones_own(write: Write) -> None:
    """Two images tried with the tickets of a third: the second waits for the chain of fits of that one only."""
    grid = {"image": ["astronaut", "coffee"], "source_image": ["chelsea"], "pruner": ["imp"]}
    plan = Plan(read(write(fixed={"rounds": 3}, grid=grid, profiles={"smoke": {"rounds": 3}})))
    first, second = plan.todo().values()
    assert [fit.picture.name for fit in first] == [*["chelsea"] * 3, *["astronaut"] * 4]
    assert [fit.picture.name for fit in second] == [*["chelsea"] * 3, *["coffee"] * 4]


def test_points_are_what_the_ledger_records(write: Write) -> None:
    plan = Plan(read(write()))
    assert {"sweep", "profile", *plan.points()[0]} == set(SWEEP_ROWS.names)


def test_published_fits_are_no_longer_to_do(write: Write, tmp_path: Path) -> None:
    sweep = read(write(profiles={"smoke": {"rounds": 1, "steps": 5}}))
    ledger = Ledger(tmp_path / "results")
    assert len(Plan.make(sweep, ledger).missing) == 3
    run_fit(sweep.trajectories[0].fits[0], sweep.pixels, ledger)
    plan = Plan.make(sweep, ledger)
    assert len(plan.missing) == 2
    assert {key: [fit.recipe.kind for fit in fits] for key, fits in plan.todo().items()} == {
        sweep.trajectories[0].id: ["imp"],
        sweep.trajectories[1].id: ["random"],
    }


def cpu_row(ledger: Ledger, key: str, **values: object) -> None:
    """Publish a fit of this ledger again with other columns."""
    (row,) = ledger.fits(ids=[key]).to_pylist()
    ledger.rows.put(key, pa.Table.from_pylist([row | values], schema=FITS))


def test_without_any_fit_an_estimate_is_a_count_of_work_and_trains_nothing(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a model was made")

    monkeypatch.setattr(Model, "train", refuse)
    monkeypatch.setattr("sweeps.estimate._product_speed", lambda: (2.0, "a product"))
    monkeypatch.setattr("sweeps.estimate.find_spec", lambda name: None)
    sweep = read(write(fixed={"image": "astronaut", "rounds": 1, "steps": 360}))
    plan = Plan.make(sweep, ledger := Ledger(tmp_path / "results"))
    (dense, *_) = plan.fits.values()
    step = nominal(step_work(dense), 1.0, "dense")
    made = estimate(plan, ledger, slots=2, price=0.5)
    assert made.cpu_hours == pytest.approx(3 * 360 * step * 2.0 / 3600)
    assert made.seconds == pytest.approx(3600 * made.cpu_hours / 2)
    assert (made.gpu_hours, made.cost, made.bases) == (0, made.cpu_hours / 2, ("a product",))
    assert re.fullmatch(
        r"about [\d.]+ CPU-hours \(\d+ seconds on 2 slots\), [\d.]+ at 0\.5 an hour, from a product", str(made)
    )


def test_an_estimate_goes_by_cpu_seconds_of_fits_of_the_size_whatever_their_wall_seconds(
    write: Write, tmp_path: Path
) -> None:
    sweep = read(write(fixed={"image": "astronaut", "rounds": 0, "steps": 5}, grid={"seed": [0, 1]}))
    ledger = Ledger(tmp_path / "results")
    first = sweep.trajectories[0].fits[0]
    run_fit(first, sweep.pixels, ledger, backend="dense")
    cpu_row(ledger, first.id, cpu_seconds=7.2, seconds=720.0)
    made = estimate(Plan.make(sweep, ledger), ledger, slots=1)
    assert made.cpu_hours == pytest.approx(7.2 / 3600), "the other seed, of the same size"
    assert made.bases == ("1 published fit of this size on this machine (cpu; within a third)",)
    cpu_row(ledger, first.id, cpu_seconds=None, seconds=720.0)
    unmeasured = estimate(Plan.make(sweep, ledger), ledger, slots=1)
    assert "matrix product" in str(unmeasured), "a CPU's wall seconds say little"
    cpu_row(ledger, first.id, device="NVIDIA A10G", cpu_seconds=9.0, seconds=72.0, backend="captured")
    made = estimate(Plan.make(sweep, ledger), ledger, slots=1, gpus=0.25)
    assert (made.cpu_hours, made.gpu_hours) == (0, pytest.approx(72 / 4 / 3600))


def test_fits_of_other_sizes_say_how_fast_a_machine_is(write: Write, tmp_path: Path) -> None:
    small = read(write(fixed={"image": "astronaut", "rounds": 0, "steps": 5}, grid={}))
    ledger = Ledger(tmp_path / "results")
    (fit,) = small.trajectories[0].fits
    run_fit(fit, small.pixels, ledger, backend="numba" if find_spec("numba") else "dense")
    (row,) = ledger.fits().to_pylist()
    slower = 3.0
    took = slower * 5 * nominal(step_work(fit), 1.0, row["backend"])
    cpu_row(ledger, fit.id, cpu_seconds=took)
    large = read(write(fixed={"image": "astronaut", "rounds": 0, "steps": 8, "size": 64, "width": 32}, grid={}))
    plan = Plan.make(large, ledger)
    (missing,) = plan.missing.values()
    made = estimate(plan, ledger, slots=1)
    assert made.cpu_hours * 3600 == pytest.approx(slower * 8 * nominal(step_work(missing), 1.0, row["backend"]))
    assert "at the speed of 1 published fit of other sizes on this machine" in str(made)


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


def test_names_and_causes_are_shown_as_they_are_and_never_read_as_markup(write: Write, tmp_path: Path) -> None:
    """A markup error in a Tune callback would fail the trial and run it again."""
    (tmp_path / "[").mkdir()
    name = str(tmp_path / "[" / "red].png")
    Image.effect_noise((32, 32), 50).save(name)
    sweep = read(write(fixed={"image": name}, grid={"pruner": ["imp"]}, profiles={"smoke": {"rounds": 1, "steps": 5}}))
    plan = Plan.make(sweep, ledger := Ledger(tmp_path / "results"))
    (trajectory,) = sweep.trajectories
    run_fit(trajectory.fits[0], sweep.pixels, ledger)
    screen = io.StringIO()
    with Progress(plan, ledger, Console(file=screen, width=400, soft_wrap=True, force_terminal=True)) as progress:
        progress.heard(trajectory.id, {"place": "round 0", "step": 3, "said": "20.00 dB"})
        row = ledger.fits(SHOWN, [trajectory.fits[0].id]).to_pylist()
        progress.heard(trajectory.id, {"published": trajectory.fits[0].id, "row": json.dumps(row)})
        progress.failed(trajectory.id, "OSError: [/] is full")
        progress.ended(trajectory.id)
    assert screen.getvalue().count(name) >= 2
    assert "OSError: [/] is full" in screen.getvalue()


def test_the_share_of_a_gpu_is_what_published_fits_have_needed(write: Write, tmp_path: Path) -> None:
    """Rows as a GPU of 24 GiB would leave them: here is none."""
    sweep = read(write(profiles={"smoke": {"rounds": 1, "steps": 5}}))
    ledger = Ledger(tmp_path / "results")
    run_fit(sweep.trajectories[0].fits[0], sweep.pixels, ledger)
    plan = Plan.make(sweep, ledger)
    assert share(plan, ledger) == 1, "it ran on a CPU"
    (row,) = ledger.fits().to_pylist()
    for peak, part in ((3000, 0.2), (8000, 0.5), (20_000, 1)):
        row |= {"device": "NVIDIA A10G", "peak_memory_mb": peak, "device_memory_mb": 24_000}
        ledger.rows.put(row["fit"], pa.Table.from_pylist([row], schema=FITS))
        assert share(plan, ledger) == part  # a quarter more, and 600 MiB of CUDA's own


def test_a_run_beside_another_goes_through_the_sweep_in_an_order_of_its_own(write: Write, tmp_path: Path) -> None:
    plan = Plan(read(write(profiles={"smoke": {"seeds": 20}})))
    ledger = Ledger(tmp_path)
    screen = Console(file=io.StringIO())
    with Progress(plan, ledger, screen) as one:
        keys = one.order()
        assert keys == list(plan.todo())
        with Progress(plan, ledger, screen) as other:
            assert other.order() != keys
            assert sorted(other.order()) == sorted(keys)
        assert one.order() == keys


def test_the_sign_of_a_run_that_was_killed_goes_after_a_day(write: Write, tmp_path: Path) -> None:
    plan = Plan(read(write()))
    ledger = Ledger(tmp_path)
    old, fresh = (f"{_signs(plan.sweep)}{name}.json" for name in ("old", "fresh"))
    for name, age in ((old, 2 * FORGOTTEN_AFTER), (fresh, 2 * ALIVE_FOR)):
        ledger.storage.write(name, json.dumps({"time": time.time() - age, "at": {"key": "place"}}).encode())
    ledger.storage.write(f"{_signs(plan.sweep)}odd.json", b'{"time": 1, "at": 2}')
    assert running(ledger, plan.sweep) == {}
    with Progress(plan, ledger, Console(file=io.StringIO())) as progress:
        assert {old, fresh, progress.sign} & set(ledger.storage.names()) == {fresh, progress.sign}
