"""Tune's own tools on a sweep: real configs and metrics by round, schedulers, loggers with the real libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.logger import LoggerCallback
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining, TrialScheduler

from lip.errors import InputError
from lip.ledger.ledger import Ledger
from sweeps.config import config_of
from sweeps.spec import read
from sweeps.tools import RoundCallback, RoundScheduler, Tools
from sweeps.trial import Rounds
from tests.sweeps.helpers import ENVIRONMENT, WAIT, Run

Cli = Callable[..., tuple[int, str]]
TINY = {"image": "astronaut", "width": 8, "scales": 2, "steps": 30, "rounds": 2}

SCRIPT = """
import json, sys
from ray import tune  # before sweeps: its Ray must be as closed to others nevertheless
from ray.tune.schedulers import ASHAScheduler
import psutil
import sweeps

class Seen(tune.Callback):
    results, addresses = [], set()

    def on_trial_result(self, iteration, trials, trial, result, **info):
        self.results.append([trial.config["pruner"], result["training_iteration"], result["sparsity"]])
        for process in psutil.Process().children(recursive=True):
            connections = process.net_connections()
            self.addresses |= {each.laddr.ip for each in connections if each.status == "LISTEN"}

spec, storage = sys.argv[1:]
options = {"slots": 1, "backend": "dense", "progress": False}
ending = sweeps.run(spec, storage=storage, callbacks=[Seen()], **options)
frames = [result.metrics_dataframe for result in ending.grid]
best = ending.grid.get_best_result("psnr_last_ema", "max")
halving = ASHAScheduler(metric="psnr_last_ema", mode="max", max_t=10, grace_period=1, reduction_factor=2)
stopped = sweeps.run(spec, storage=storage + "-halved", scheduler=halving, **options)
print(json.dumps({
    "ending": [ending.failed, ending.drained, ending.missing],
    "results": Seen.results,
    "addresses": sorted(Seen.addresses),
    "iterations": [frame["training_iteration"].tolist() for frame in frames],
    "psnr": [frame["psnr_last_ema"].tolist() for frame in frames],
    "best": best.config,
    "stopped": {result.config["pruner"]: result.metrics["training_iteration"] for result in stopped.grid},
    "stopped ending": [stopped.failed, stopped.drained, stopped.missing],
}))
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("spec") / "tiny.yaml"
    content = {"name": "tiny", "profile": "smoke", "fixed": TINY, "grid": {"pruner": ["imp", "random"], "seed": [0]}}
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def told(spec: str, storage: Path) -> dict[str, Any]:
    """What a script sees that runs the sweep twice: with a callback, and elsewhere with a scheduler."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, spec, storage],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
        timeout=WAIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def rows_of(storage: Path | str, spec: str) -> dict[tuple[str, int], dict[str, Any]]:
    """The rows of the sweep that are published, by pruner and round."""
    rows = {row["fit"]: row for row in Ledger(storage).fits().to_pylist()}
    found = {(t.pruner, number): rows.get(fit.id) for t in read(spec).trajectories for number, fit in enumerate(t.fits)}
    return {key: row for key, row in found.items() if row}


def test_every_trajectory_is_a_trial_that_reports_its_rounds(told: dict[str, Any], storage: Path, spec: str) -> None:
    rows = rows_of(storage, spec)
    assert told["ending"] == [0, None, 0]
    assert {(pruner, round): sparsity for pruner, round, sparsity in told["results"]} == {
        key: row["sparsity"] for key, row in rows.items()
    }
    assert told["iterations"] == [[0, 1, 2]] * 2
    published = [[rows[pruner, round]["psnr_last_ema"] for round in range(3)] for pruner in ("imp", "random")]
    assert sorted(told["psnr"]) == [pytest.approx(values) for values in sorted(published)]


def test_a_config_says_what_a_trajectory_is(told: dict[str, Any]) -> None:
    wanted = {**TINY, "pruner": "imp", "seed": 0, "task": "denoise", "sigma": 25, "lr": 0.01, "prior": "hourglass"}
    assert wanted.items() <= told["best"].items()
    assert told["best"]["trajectory"] == "astronaut, imp, seed 0"


def test_what_a_scheduler_stops_is_left_whole_to_the_next_run(
    told: dict[str, Any], storage: Path, spec: str, cli: Cli
) -> None:
    halved = f"{storage}-halved"
    assert told["stopped"] == {"imp": 2, "random": 1}, "the second of two, and the worse"
    assert told["stopped ending"] == [0, None, 1]
    rows, whole = rows_of(halved, spec), rows_of(storage, spec)
    assert rows.keys() == whole.keys() - {("random", 2)}
    assert all(row["psnr_last_ema"] == whole[key]["psnr_last_ema"] for key, row in rows.items())
    assert not Ledger(halved).damaged()
    assert [name for name in os.listdir(halved) if name.startswith(".")] == []
    assert cli("status", spec, "--storage", halved)[1].splitlines()[-1] == "1 done, 0 running, 0 failed, 1 waiting"


def test_nobody_else_reaches_the_ray_of_a_script(told: dict[str, Any]) -> None:
    assert {address.removeprefix("::ffff:") for address in told["addresses"]} <= {"127.0.0.1", "::1"}


def test_tensorboard_gets_every_round_also_of_what_is_published(told: dict[str, Any], storage: Path, spec: str) -> None:
    code, output = Run("run", spec, "--storage", storage, "--log", "tensorboard", "--slots", "1").finish()
    assert code == 0, output
    events = list((storage / "logs" / "tensorboard" / "tiny.smoke").glob("*/events*"))
    assert {path.parent.name for path in events} == {trajectory.id for trajectory in read(spec).trajectories}
    from tensorboardX.proto.event_pb2 import Event

    for path in events:
        data, steps = path.read_bytes(), {}
        while data:
            length = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + length])
            steps |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
            data = data[16 + length :]
        scores = {step: value for (tag, step), value in steps.items() if tag == "psnr_last_ema"}
        (pruner,) = (t.pruner for t in read(spec).trajectories if t.id == path.parent.name)
        assert scores == {k: pytest.approx(rows_of(storage, spec)[pruner, k]["psnr_last_ema"]) for k in range(3)}


@pytest.mark.slow
def test_wandb_writes_a_run_for_every_trajectory_without_a_network(
    told: dict[str, Any], storage: Path, spec: str
) -> None:
    pytest.importorskip("wandb")
    run = Run("run", spec, "--storage", storage, "--log", "wandb", "--slots", "1", WANDB_MODE="offline")
    code, output = run.finish()
    assert code == 0, output
    assert len(list((storage / "logs" / "wandb").glob("offline-run-*/*.wandb"))) == 2


@pytest.mark.slow
def test_mlflow_writes_a_run_for_every_trajectory_to_files(told: dict[str, Any], storage: Path, spec: str) -> None:
    pytest.importorskip("mlflow")
    code, output = Run("run", spec, "--storage", storage, "--log", "mlflow", "--slots", "1").finish()
    assert code == 0, output
    runs = list((storage / "logs" / "mlflow").glob("*/*/metrics/psnr_last_ema"))
    assert len(runs) == 2
    assert all([line.split()[2] for line in path.read_text().splitlines()] == ["0", "1", "2"] for path in runs)


def test_a_logger_that_cannot_be_had_is_refused(spec: str, tmp_path: Path, cli: Cli) -> None:
    code, output = cli("run", spec, "--storage", str(tmp_path), "--log", "tensorbord")
    assert (code, output) == (
        2,
        "error: --log tensorbord: there is no such logger; did you mean 'tensorboard'?\n",
    )


def test_a_logger_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.logs.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"--log wandb: it is not installed; pip install 'lottery-image-priors\[wandb\]'"
    ):
        Tools(log=("wandb",))


def test_a_scheduler_that_changes_configs_is_refused() -> None:
    population = PopulationBasedTraining(hyperparam_mutations={"lr": [0.1, 0.2]})
    with pytest.raises(InputError, match="PopulationBasedTraining changes configs"):
        Tools(scheduler=population)


class Calls(LoggerCallback):
    def __init__(self) -> None:
        self.made: list[tuple[object, ...]] = []

    def setup(self, **info: object) -> None:
        raise ValueError("no key\nat all")

    def log_trial_start(self, trial: object) -> None:
        self.made.append(("start", trial))

    def log_trial_result(self, iteration: int, trial: object, result: dict[str, object]) -> None:
        self.made.append(("result", trial, result))


def test_a_callback_hears_of_rounds_alone_and_a_failure_to_start_is_one_sentence() -> None:
    calls = Calls()
    callback = RoundCallback(calls)
    with pytest.raises(InputError, match=r"^Calls cannot start: no key$"):
        callback.setup()
    callback.on_trial_start(0, [], "a")
    callback.on_trial_result(0, [], "a", {"step": 3})
    callback.on_trial_result(0, [], "a", {"round": 0, "sparsity": 0.0})
    assert calls.made == [("start", "a"), ("result", "a", {"round": 0, "sparsity": 0.0})]
    assert isinstance(callback, tune.Callback)


def test_a_scheduler_decides_about_rounds_alone() -> None:
    asha = ASHAScheduler(time_attr="training_iteration", metric="psnr", mode="max", grace_period=1, max_t=1)
    scheduler = RoundScheduler(asha)
    assert scheduler.metric == "psnr"
    assert scheduler.on_trial_result(None, None, {"step": 3, "training_iteration": 5}) == TrialScheduler.CONTINUE
    assert scheduler.choose_trial_to_run == asha.choose_trial_to_run


def test_rounds_are_reported_in_order_whatever_is_published_first(
    published: Ledger, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trajectory = read(spec).trajectories[1]
    reports: list[dict[str, Any]] = []
    monkeypatch.setattr("sweeps.trial.tune.report", reports.append)
    _, first, second = trajectory.fits
    rounds = Rounds(published, [fit.id for fit in trajectory.fits], [first, second])
    assert [(report["round"], report["psnr_last_ema"]) for report in reports] == [(0, 0.0)]
    rounds.published(second)
    assert len(reports) == 1
    rounds.published(first)
    assert [report["training_iteration"] for report in reports] == [0, 1, 2]
    assert all(type(value) in (int, float) for report in reports for value in report.values())


def test_a_config_has_plain_values_and_leaves_out_what_is_not_set(write: Callable[..., str]) -> None:
    fixed = {"image": "astronaut", "rounds": 3, "pruned_share": 0.5, "search": 2}
    (trajectory,) = read(write(fixed=fixed, grid={"pruner": ["oes"]})).trajectories
    config = config_of(trajectory, "a label")
    assert {"pruned_share": 0.5, "search": 2, "rounds": 3, "pruner": "oes"}.items() <= config.items()
    assert None not in config.values()
    assert json.loads(json.dumps(config)) == config
