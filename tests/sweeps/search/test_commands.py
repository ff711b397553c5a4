"""What the commands say of a search."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lip.ledger.ledger import Ledger
from sweeps.estimate import Pace
from tests.sweeps.helpers import publish
from tests.sweeps.search.conftest import finish, plan_of, psnr

Searching = Callable[..., str]
Cli = Callable[..., tuple[int, str]]

HELD_OUT = {"held_out": {"image": ["coffee"], "seed": [0, 1]}}


@pytest.fixture
def storage(ledger: Ledger) -> list[str]:
    return ["--storage", str(ledger.root)]


def test_plan_tells_what_a_search_may_want(searching: Searching, cli: Cli, storage: list[str]) -> None:
    spec = searching(HELD_OUT | {"sampler": "tpe", "racing": {"first": 2}})
    code, output = cli("plan", spec, *storage)
    assert code == 0
    assert (
        "search tiny: the baseline and 12 settings (tpe, 4 at a time) on 4 blocks, dropped by racing from 2 blocks on: "
        "at most 52 trajectories, then the best and the baseline on 2 blocks held out; by psnr_stop_ema"
    ) in output
    assert "16 trajectories so far" in output
    assert "with all that searches may want, at most about " in output


def test_a_budget_covers_a_share_of_what_a_search_may_want(
    searching: Searching, cli: Cli, storage: list[str], ledger: Ledger
) -> None:
    spec = searching({"space": {"lr": {"log": [1e-3, 1e-1]}}, "sampler": "tpe", "racing": {"first": 2}})
    plan = plan_of(spec, ledger)
    first = next(iter(plan.fits.values()))
    columns = {"task": "denoise", "image_height": 32, "image_width": 32, "channels": 3, "steps": 40}
    publish(ledger, first, **columns, device="cpu", backend="dense", cpu_seconds=3600.0, psnr_stop_ema=20.0)
    seconds = Pace.now(plan, ledger).seconds(plan.fits.values(), on_gpu=False)
    assert all(each == pytest.approx(3600) for each in seconds.values())
    code, output = cli("plan", spec, *storage, "--slots", "1", "--hours", "4.7")
    assert code == 0
    assert "at most about 47 CPU-hours" in output, "of 52, one is published, and four of a drawn setting are known"
    assert "a budget of 4.7 hours covers about 10% of that" in output


def test_status_tells_how_far_it_is(searching: Searching, cli: Cli, storage: list[str], ledger: Ledger) -> None:
    spec = searching({"sampler": "tpe", "racing": {"first": 2}})
    finish(spec, ledger, most=20)
    code, output = cli("status", spec, *storage)
    assert code == 0
    assert " of 13 settings decided, " in output
    assert "astronaut, imp, seed 0, setting 1 " in output
    _, output = cli("status", spec, *storage, "--json")
    assert "settings decided" in json.loads(output)["searches"]["tiny"]


def test_show_lists_the_settings_from_the_best_on(
    searching: Searching, cli: Cli, storage: list[str], ledger: Ledger
) -> None:
    spec = searching(HELD_OUT)
    (study,) = finish(spec, ledger).studies
    assert study.best is not None
    code, output = cli("show", spec, *storage)
    assert code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]
    assert len(rows) == 13 + 2
    mean = f"{study.best.score:.4g}"
    assert rows[0][:1] + rows[0][3:5] == [str(study.best.number), "4", mean]
    assert {row[0] for row in rows[13:]} == {"baseline", str(study.best.number)}
    assert f"13 of 13 settings decided, best: {study.best.number} (lr " in output


def test_an_oracle_is_called_one_wherever_it_is_named(
    searching: Searching, cli: Cli, storage: list[str], ledger: Ledger
) -> None:
    spec = searching({"objective": "psnr_peak_ema", "trials": 2})
    assert "by psnr_peak_ema (an oracle)" in cli("plan", spec, *storage)[1]
    plan = plan_of(spec, ledger)
    for fit in plan.fits.values():
        publish(ledger, fit, psnr_peak_ema=psnr(fit), diverged=False)
    for command in ("show", "best", "status"):
        assert "psnr_peak_ema (an oracle) 2" in cli(command, spec, *storage)[1]


def test_best_prints_and_writes_the_best_setting(
    searching: Searching, cli: Cli, storage: list[str], ledger: Ledger, tmp_path: Path
) -> None:
    spec = searching()
    (study,) = finish(spec, ledger).studies
    assert study.best is not None
    code, output = cli("best", spec, *storage, "--out", str(tmp_path / "best.yaml"))
    assert code == 0
    assert f"setting {study.best.number}: lr {study.best.setting['lr']}" in output
    assert "python -m lip restore PHOTO --task denoise --steps 40" in output
    assert yaml.safe_load((tmp_path / "best.yaml").read_text())["fixed"] == {"rounds": 0} | study.best.setting


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "error: search tiny has no setting yet that is fitted to all blocks; run "),
        (["--out", "best.txt"], "has no setting yet"),
    ],
)
def test_without_results_there_is_no_best(
    searching: Searching, cli: Cli, storage: list[str], arguments: list[str], sentence: str
) -> None:
    code, output = cli("best", searching(), *storage, *arguments)
    assert code == 2
    assert sentence in output


def test_only_a_search_has_a_best_setting(spec: str, cli: Cli, storage: list[str]) -> None:
    code, output = cli("best", spec, *storage)
    assert (code, output) == (2, f"error: {spec} searches nothing; add a block search to it, or name another sweep\n")
