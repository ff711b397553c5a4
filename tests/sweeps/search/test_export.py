"""The best setting is a sweep file of its own, and arguments of `lip restore`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lip import cli
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


@pytest.mark.parametrize("task", ["denoise", "superres"])
def test_the_arguments_restore_with_its_schedule_and_network(
    searching: Searching, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    (study,) = finish(searching({"trials": 3}, fixed={"task": task, "rounds": 0}), ledger).studies
    assert study.best is not None
    fit = study.best.trajectories[0].fits[0]
    Image.effect_noise((32, 32), 40).save(tmp_path / "photo.png")
    python, module, *words = shlex.split(str(as_restore(study)).replace("PHOTO", str(tmp_path / "photo.png")))
    assert (python, module) == ("python", "-m")
    monkeypatch.setattr(sys, "argv", [*words, "-o", str(tmp_path / "restored.png"), "--threads", "1"])
    with pytest.raises(SystemExit) as ended:
        cli.app()
    assert not ended.value.code
    done = json.loads((tmp_path / "restored.json").read_text())
    assert done["schedule"] == fit.schedule.columns() | {"until": "stop"}
    assert done["prior"] == {"kind": "hourglass", **fit.prior.model_dump()}


def test_what_restore_cannot_do_has_no_arguments(searching: Searching, ledger: Ledger) -> None:
    (study,) = finish(searching({"trials": 2}, fixed={"rounds": 1, "pruner": "random"}), ledger).studies
    assert as_restore(study) is None
