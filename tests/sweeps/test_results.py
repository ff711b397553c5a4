from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from lip.ledger.ledger import Ledger
from lip.specs.fit import Fit
from sweeps.plan import Plan
from sweeps.results import axes, rows
from sweeps.spec import read
from tests.sweeps.helpers import publish


def test_rows_are_the_sweeps_axes_and_the_fits_columns(spec: str, published: Ledger, fits: list[Fit]) -> None:
    frame = rows(Plan.make(read(spec), published), published)
    assert list(frame["round"]) == [0, 1, 2]
    assert list(frame["fit"]) == [fit.id for fit in fits]
    assert list(frame["pruner"]) == ["random"] * 3, "that of the trajectory, also of its dense round"
    assert list(frame["psnr_last_ema"]) == [0.0, 1.0, 2.0]
    assert not [name for name in frame if name.startswith(("curve_", "layer_"))]


def test_unpublished_rounds_have_no_row(spec: str, published: Ledger, fits: list[Fit]) -> None:
    next(published.root.glob(f"fits/*/{fits[1].id}-*")).unlink()
    assert list(rows(Plan.make(read(spec), published), published)["round"]) == [0, 2]


def test_axes_are_the_columns_that_vary(spec: str, published: Ledger) -> None:
    assert list(axes(rows(Plan.make(read(spec), published), published))) == ["round", "psnr_last_ema"]


def test_without_results_there_are_no_rows(spec: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "empty")
    assert rows(Plan.make(read(spec), ledger), ledger).empty


def test_a_published_round_is_listed_although_its_next_mask_is_needed_and_lost(
    write: Callable[..., str], tmp_path: Path
) -> None:
    sweep = read(write(grid={"pruner": ["imp"]}, profiles={"smoke": {"rounds": 2}}))
    ledger = Ledger(tmp_path / "results")
    for fit in sweep.trajectories[0].fits[:2]:
        publish(ledger, fit)
    shutil.rmtree(ledger.root / "next_masks")
    plan = Plan.make(sweep, ledger)
    assert plan.published == set()
    assert list(rows(plan, ledger)["round"]) == [0, 1]
