from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lip.ledger.ledger import Ledger
from lip.ledger.schema import SWEEP_ROWS
from lip.specs.fit import Fit
from sweeps.plan import Plan, label, with_dependencies
from sweeps.spec import Sweep, read
from tests.sweeps.helpers import publish

Write = Callable[..., str]
Shipped = Callable[..., Sweep]


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


def test_extra_runs_are_told_apart(shipped: Shipped) -> None:
    gan, transfer = (Plan(shipped(name, "smoke")) for name in ("gan", "transfer"))
    assert gan.counts.extra == {"to rewind to": 0, "of generators": 6, "to take masks from": 0}
    assert transfer.counts.extra["to take masks from"] > 0


def test_a_transfer_needs_its_source_tickets_but_not_the_last_source_fit(write: Write) -> None:
    plan = Plan(read(write(grid={"source_image": ["chelsea"], "pruner": ["imp"]})))
    (trajectory,) = plan.sweep.trajectories
    order = with_dependencies(trajectory)
    assert [(fit.picture.name, fit.recipe.round) for fit in order] == [
        ("astronaut", 0),
        *(pair for k in range(2) for pair in (("chelsea", k), ("astronaut", k + 1))),
    ]
    assert label(trajectory) == "astronaut, masks of chelsea, imp, seed 0"


def test_what_others_wait_for_is_made_before_what_is_ones_own(write: Write) -> None:
    """Two images tried with the tickets of a third: the second waits for the chain of fits of that one only."""
    grid = {"image": ["astronaut", "coffee"], "source_image": ["chelsea"], "pruner": ["imp"]}
    plan = Plan(read(write(fixed={"rounds": 3}, grid=grid, profiles={"smoke": {"rounds": 3}})))
    first, second = plan.remaining_fits().values()
    assert [fit.picture.name for fit in first] == [*["chelsea"] * 3, *["astronaut"] * 4]
    assert [fit.picture.name for fit in second] == [*["chelsea"] * 3, *["coffee"] * 4]


def test_points_are_what_the_ledger_records(write: Write) -> None:
    plan = Plan(read(write()))
    assert {"sweep", "profile", *plan.points()[0]} == set(SWEEP_ROWS.names)


def test_published_fits_do_not_remain(write: Write, tmp_path: Path) -> None:
    sweep = read(write(profiles={"smoke": {"rounds": 1}}))
    ledger = Ledger(tmp_path / "results")
    assert len(Plan.make(sweep, ledger).missing) == 3
    publish(ledger, sweep.trajectories[0].fits[0])
    plan = Plan.make(sweep, ledger)
    assert len(plan.missing) == 2
    assert {key: [fit.recipe.kind for fit in fits] for key, fits in plan.remaining_fits().items()} == {
        sweep.trajectories[0].id: ["imp"],
        sweep.trajectories[1].id: ["random"],
    }


def test_refreshing_finds_what_others_have_published(spec: str, fits: list[Fit], tmp_path: Path) -> None:
    plan = Plan.make(read(spec), ledger := Ledger(tmp_path / "results"))
    assert list(plan.missing) == [fit.id for fit in fits]
    publish(ledger, fits[0])
    plan.refresh(ledger)
    assert list(plan.missing) == [fit.id for fit in fits[1:]]


def test_damaged_fits_are_set_aside_without_reading_the_others(
    spec: str, fits: list[Fit], published: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a fit with a damaged file and a sound one nothing is missing."""
    for fit in fits[:2]:
        published.rows.blobs.add(fit.id, b"junk")
    next(path for path in published.root.glob(f"fits/*/{fits[0].id}-*") if path.read_bytes() != b"junk").unlink()
    damaged = published.damaged()
    plan = Plan.make(read(spec), published)
    assert plan.missing == {}
    verified: list[Fit] = []
    look_up = published.published
    monkeypatch.setattr(published, "published", lambda some, *rest: look_up(verified.extend(some) or verified, *rest))
    plan.set_aside(damaged, published)
    assert {fit.id for fit in verified} == {fit.id for fit in fits[:2]}
    assert list(plan.missing) == [fits[0].id]


def test_a_published_sweep_needs_no_next_masks(spec: str, published: Ledger) -> None:
    shutil.rmtree(published.root / "next_masks")
    for verified in (False, True):
        assert Plan.make(read(spec), published, verified).missing == {}


@pytest.mark.parametrize("verified", [False, True])
def test_a_missing_round_takes_those_before_it_along_up_to_the_first_next_mask_that_is_there(
    write: Write, tmp_path: Path, verified: bool
) -> None:
    plan = Plan(read(write(grid={"pruner": ["imp"]}, profiles={"smoke": {"rounds": 5}})))
    ledger, fits = Ledger(tmp_path / "results"), list(plan.fits.values())
    for fit in fits[:4]:
        publish(ledger, fit)
    plan.refresh(ledger, verified)
    assert list(plan.missing) == [fit.id for fit in fits[4:]]
    for fit in fits[2:4]:
        next(ledger.root.glob(f"next_masks/*/{fit.id}-*")).unlink()
    plan.refresh(ledger, verified)
    assert list(plan.missing) == [fit.id for fit in fits[2:]]
    publish(ledger, fits[2])
    plan.refresh_missing(ledger)
    assert list(plan.missing) == [fit.id for fit in fits[3:]]
