from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from rich.console import Console

from lip.schema import POINTS
from lip.store import Ledger
from lip.trajectory import publish
from sweeps.estimate import estimate
from sweeps.plan import Plan, label, needed
from sweeps.progress import SHOWN, Progress
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
