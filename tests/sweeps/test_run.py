"""Real sweeps through Ray Tune, in processes of their own: started, killed, resumed, interrupted, broken."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lip.ledger.ledger import Ledger
from sweeps.spec import read
from tests.sweeps.helpers import Run, results, wait_for_fits

Cli = Callable[..., tuple[int, str]]

COUNTS = "16 results from 14 fits: 13 of their own (3 results share another's), 1 extra run to rewind to"
DONE = "16 of 16 results published, 14 of 14 fits"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("spec") / "tiny.yaml"
    path.write_text(
        """
name: tiny
profile: smoke
fixed: {image: astronaut, jitter: 0.05}
grid: {pruner: [imp, random], rewind: [0, 50], seed: [0]}
profiles: {smoke: {width: 8, scales: 2, steps: 40, rounds: 3}}
"""
    )
    return str(path)


@pytest.fixture(scope="module")
def undisturbed(spec: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp('a folder\'s "name"')
    code, output = Run("run", spec, "--storage", storage).finish()
    assert code == 0, output
    return storage


def test_a_run_publishes_every_fit(undisturbed: Path, spec: str, cli: Cli) -> None:
    sweep = read(spec)
    wanted = {fit.id for trajectory in sweep.trajectories for fit in trajectory.fits}
    ledger = Ledger(undisturbed)
    assert wanted <= set(ledger.fits(["fit"])["fit"].to_pylist())
    assert len(ledger.fits(["fit"])) == len(wanted) + 1, "and the short dense run that is rewound to"
    assert set(ledger.fits(["backend"])["backend"].to_pylist()) == {"numba"}
    assert set(ledger.sweeps()["fit"].to_pylist()) == wanted
    code, output = cli("status", spec, "--storage", str(undisturbed))
    assert (code, output.splitlines()[-1]) == (0, "4 done, 0 running, 0 failed, 0 waiting")
    assert not list(undisturbed.glob(".running*"))


def test_the_same_command_again_runs_nothing(undisturbed: Path, spec: str, cli: Cli) -> None:
    before = sorted(undisturbed.rglob("*.parquet"))
    code, output = cli("run", spec, "--storage", str(undisturbed))
    assert code == 0
    assert output.splitlines() == [COUNTS, f"tiny (smoke): {DONE}, in {undisturbed}"]
    assert sorted(undisturbed.rglob("*.parquet")) == before


def test_every_command_counts_alike(undisturbed: Path, spec: str, cli: Cli) -> None:
    for command in ("plan", "status", "show"):
        _, output = cli(command, spec, "--storage", str(undisturbed))
        assert COUNTS in output
        assert DONE in output
    _, output = cli("status", spec, "--storage", str(undisturbed), "--json")
    numbers = {"results": 16, "published_results": 16, "fits": 14, "published_fits": 14}
    assert numbers.items() <= json.loads(output).items()


def test_results_are_fetched_once_and_only_from_where_there_are_some(
    undisturbed: Path, tmp_path: Path, cli: Cli
) -> None:
    here = str(tmp_path / "here")
    assert cli("fetch", str(undisturbed), "--storage", here)[0] == 0
    assert results(tmp_path / "here") == results(undisturbed)
    code, output = cli("fetch", str(undisturbed), "--storage", here)
    assert (code, output.split()[0]) == (0, "0")
    code, output = cli("fetch", str(tmp_path / "nowhere"), "--storage", here)
    assert (code, output) == (2, f"error: there are no results in {tmp_path / 'nowhere'}; correct the name\n")


def test_killed_at_any_moment_and_run_again_it_ends_as_if_undisturbed(
    undisturbed: Path, spec: str, tmp_path: Path
) -> None:
    run = Run("run", spec, "--storage", tmp_path)
    wait_for_fits(tmp_path, 4)
    run.process.kill()  # the driver alone: Ray has to notice by itself
    run.finish()
    survivors = {path.name for path in tmp_path.glob("fits/*/*.parquet")}
    code, output = Run("run", spec, "--storage", tmp_path).finish()
    assert code == 0, output
    assert results(tmp_path) == results(undisturbed)
    assert survivors <= {path.name for path in tmp_path.glob("fits/*/*.parquet")}, "nothing published is done again"
    assert not Ledger(tmp_path).damaged()
    for fit in {fit for trajectory in read(spec).trajectories for fit in trajectory.fits if fit.has_next_mask}:
        assert Ledger(tmp_path).next_mask(fit) == Ledger(undisturbed).next_mask(fit)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_in_good_order(spec: str, tmp_path: Path, number: signal.Signals) -> None:
    long = tmp_path / "tiny.yaml"
    long.write_text(Path(spec).read_text().replace("rounds: 3", "rounds: 40"))
    run = Run("run", long, "--storage", tmp_path)
    wait_for_fits(tmp_path, 2)
    run.process.send_signal(number)
    code, output = run.finish()
    assert code == 130, output
    assert "still to do" in output
    assert "Traceback" not in output
    assert not Ledger(tmp_path).damaged()
    assert not list(tmp_path.rglob(".[0-9a-f]*")), "no temporary file is left"


def test_sigusr1_publishes_what_is_in_training_and_begins_no_other_fit(spec: str, tmp_path: Path) -> None:
    run = Run("run", spec, "--storage", tmp_path, "--slots", "1")
    wait_for_fits(tmp_path, 2)
    run.process.send_signal(signal.SIGUSR1)
    code, output = run.finish()
    assert code == 3, output
    assert "ending: SIGUSR1 asked for it; the fits in training are published" in output
    assert "still to do (SIGUSR1 asked for it); the same command resumes" in output
    assert not list(tmp_path.glob(".*")), "neither lease nor heartbeat is left"


def test_a_trial_that_raises_is_listed_with_its_cause_and_the_others_go_on(spec: str, tmp_path: Path, cli: Cli) -> None:
    trajectory = next(t for t in read(spec).trajectories if t.pruner == "random" and t.rewind == 0)
    obstacle = tmp_path / "fits" / trajectory.fits[2].id[:2]
    obstacle.parent.mkdir(parents=True)
    obstacle.write_text("a file where a folder is needed")
    code, output = Run("run", spec, "--storage", tmp_path).finish()
    assert code == 1, output
    assert "will be retried once" in output
    assert output.endswith("2 still to do; `python -m sweeps status` lists the causes\n")
    assert len(Ledger(tmp_path).fits(["fit"])) == 12
    code, output = cli("status", spec, "--storage", str(tmp_path), columns=1000)
    assert code == 1
    assert "failed: " in output
    assert "Error in round 2" in output
    code, output = cli("logs", spec, "--storage", str(tmp_path), columns=1000)
    assert code == 0
    assert "    Traceback (most recent call last):" in output
    assert f"{obstacle}" in output


def test_importing_sweeps_is_cheap() -> None:
    heavy = ("torch", "ray", "pandas")
    code = f"import sys, sweeps, sweeps.plan, sweeps.spec; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
