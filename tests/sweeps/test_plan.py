from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from PIL import Image
from rich.console import Console

from lip.ledger.ledger import Ledger
from lip.ledger.schema import FITS, POINTS
from lip.training.run import publish
from sweeps.estimate import estimate, share
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
    assert plan.naive == 3 * 4 + 3 * 5
    labels = {label(trajectory) for trajectory in plan.sweep.trajectories}
    assert labels >= {"astronaut, imp, seed 0", "astronaut, snip, seed 0, rewind 20 %"}


def test_a_transfer_needs_its_source_tickets_but_not_the_last_source_fit(write: Write) -> None:
    plan = Plan(read(write(grid={"source_image": ["chelsea"], "pruner": ["imp"]})))
    (trajectory,) = plan.sweep.trajectories
    order = needed(trajectory)
    assert [(fit.picture.name, fit.mask.round) for fit in order] == [
        ("astronaut", 0),
        *(pair for k in range(4) for pair in (("chelsea", k), ("astronaut", k + 1))),
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
    assert {"sweep", "profile", *plan.points()[0]} == set(POINTS.names)


def test_published_fits_are_no_longer_to_do(write: Write, tmp_path: Path) -> None:
    sweep = read(write(profiles={"smoke": {"rounds": 1, "steps": 5}}))
    ledger = Ledger(tmp_path / "results")
    assert len(Plan.make(sweep, ledger).missing) == 3
    assert "timing a few steps" in estimate(Plan.make(sweep, ledger), ledger, slots=2)
    publish(sweep.trajectories[0].fits[0], sweep.pixels, ledger)
    plan = Plan.make(sweep, ledger)
    assert len(plan.missing) == 2
    assert {key: [fit.mask.kind for fit in fits] for key, fits in plan.todo().items()} == {
        sweep.trajectories[0].id: ["imp"],
        sweep.trajectories[1].id: ["random"],
    }


def test_names_and_causes_are_shown_as_they_are_and_never_read_as_markup(write: Write, tmp_path: Path) -> None:
    """A markup error in a Tune callback would fail the trial and run it again."""
    (tmp_path / "[").mkdir()
    name = str(tmp_path / "[" / "red].png")
    Image.effect_noise((32, 32), 50).save(name)
    sweep = read(write(fixed={"image": name}, grid={"pruner": ["imp"]}, profiles={"smoke": {"rounds": 1, "steps": 5}}))
    plan = Plan.make(sweep, ledger := Ledger(tmp_path / "results"))
    (trajectory,) = sweep.trajectories
    publish(trajectory.fits[0], sweep.pixels, ledger)
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
    publish(sweep.trajectories[0].fits[0], sweep.pixels, ledger)
    plan = Plan.make(sweep, ledger)
    assert share(plan, ledger) == 1, "it ran on a CPU"
    (row,) = ledger.fits().to_pylist()
    for peak, part in ((3000, 0.2), (8000, 0.5), (20_000, 1)):
        row |= {"device": "NVIDIA A10G", "peak_memory_mb": peak, "device_memory_mb": 24_000}
        ledger._fits.put(row["id"], pa.Table.from_pylist([row], schema=FITS))
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
