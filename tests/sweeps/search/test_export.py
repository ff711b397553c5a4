"""The best setting is a sweep file of its own, and arguments of `lip restore`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lip.ledger.ledger import Ledger
from sweeps.search.export import as_restore, as_sweep
from sweeps.spec import parse, read
from tests.sweeps.search.conftest import finish

Searching = Callable[..., str]


def test_the_sweep_file_asks_for_the_fits_of_the_best_setting(
    searching: Searching, ledger: Ledger, tmp_path: Path
) -> None:
    spec = searching(outputs=True)
    (study,) = finish(spec, ledger).studies
    assert study.best is not None
    path = tmp_path / "best.yaml"
    path.write_text(as_sweep(study, parse(Path(spec)), "best", "smoke"))
    exported = read(str(path))
    assert {one.id for one in exported.trajectories} == {one.id for one in study.best.trajectories}
    assert exported.outputs


def test_the_arguments_restore_with_its_schedule_and_network(
    searching: Searching, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from lip import cli

    (study,) = finish(searching(), ledger).studies
    assert study.best is not None
    fit = study.best.trajectories[0].fits[0]
    words = shlex.split(str(as_restore(study)))
    assert words[:5] == ["python", "-m", "lip", "restore", "PHOTO"]
    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        "lip.restoration.restore", lambda image, task, **options: asked.update(options, task=task) or 1 / 0
    )
    monkeypatch.setattr("lip.data.photograph.read", lambda image: type("Photograph", (), {"alpha": None}))
    monkeypatch.setattr(sys, "argv", ["lip", *words[3:]])
    with pytest.raises(ZeroDivisionError):
        cli.app()
    assert (asked["task"], asked["width"], asked["scales"]) == ("denoise", fit.prior.width, fit.prior.scales)  # type: ignore[attr-defined]
    usual = fit.task.schedules()["lip"]
    assert usual.replace(**asked["settings"], steps=asked["steps"]) == fit.schedule


def test_what_restore_cannot_do_has_no_arguments(searching: Searching, ledger: Ledger) -> None:
    (study,) = finish(searching({"trials": 2}, fixed={"rounds": 1, "pruner": "random"}), ledger).studies
    assert as_restore(study) is None
