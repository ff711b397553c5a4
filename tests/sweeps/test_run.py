"""Real sweeps through Ray Tune, in processes of their own: started, killed, resumed, interrupted, broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
import pytest

from lip.ledger.ledger import Ledger
from lip.ledger.schema import RESULTS
from sweeps.spec import read

Write = Callable[..., str]

COUNTS = "16 results from 14 fits: 13 of their own (3 results share another's), 1 extra run to rewind to"
DONE = "16 of 16 results published, 14 of 14 fits"


def start(*arguments: str, columns: int = 200) -> subprocess.Popen[str]:
    """`python -m sweeps ...` as the leader of a process group."""
    return subprocess.Popen(
        [sys.executable, "-m", "sweeps", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | {"COLUMNS": str(columns)},
    )


def finish(*arguments: str, columns: int = 200) -> tuple[int, str]:
    process = start(*arguments, columns=columns)
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def wait_for_fits(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(list(folder.glob("fits/*/*.parquet"))) < count:
        assert time.monotonic() < deadline, "nothing is published"
        time.sleep(0.05)


def results(storage: Path) -> list[dict[str, object]]:
    return Ledger(storage).fits(RESULTS).to_pylist()


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
    code, output = finish("run", spec, "--storage", str(storage))
    assert code == 0, output
    return storage


def test_a_run_publishes_every_fit_and_tells_each_round(undisturbed: Path, spec: str) -> None:
    sweep = read(spec)
    wanted = {fit.id for trajectory in sweep.trajectories for fit in trajectory.fits}
    ledger = Ledger(undisturbed)
    assert wanted <= set(ledger.fits(["fit"])["fit"].to_pylist())
    assert len(ledger.fits(["fit"])) == len(wanted) + 1, "and the short dense run that is rewound to"
    assert set(ledger.fits(["backend"])["backend"].to_pylist()) == {"numba"}
    assert set(ledger.sweeps()["fit"].to_pylist()) == wanted
    code, output = finish("status", spec, "--storage", str(undisturbed))
    assert (code, output.splitlines()[-1]) == (0, "4 done, 0 running, 0 failed, 0 waiting")
    assert not list(undisturbed.glob(".running*"))


def test_the_same_command_again_runs_nothing_and_does_not_start_ray(undisturbed: Path, spec: str) -> None:
    before = sorted(undisturbed.rglob("*.parquet"))
    code, output = finish("run", spec, "--storage", str(undisturbed))
    assert code == 0
    assert output.splitlines() == [COUNTS, f"tiny (smoke): {DONE}, in {undisturbed}"]
    assert sorted(undisturbed.rglob("*.parquet")) == before


def test_every_command_counts_alike(undisturbed: Path, spec: str) -> None:
    for command in ("plan", "status", "show"):
        _, output = finish(command, spec, "--storage", str(undisturbed))
        assert COUNTS in output
        assert DONE in output
    _, output = finish("status", spec, "--storage", str(undisturbed), "--json")
    numbers = {"results": 16, "published_results": 16, "fits": 14, "published_fits": 14}
    assert numbers.items() <= json.loads(output).items()


def test_show_prints_only_what_varies(undisturbed: Path, spec: str, tmp_path: Path) -> None:
    code, output = finish("show", spec, "--storage", str(undisturbed))
    assert code == 0
    header = output.splitlines()[2]
    assert "pruner" in header
    assert "psnr last ema" in header
    assert "seed" not in header
    assert "image" not in header
    _, narrow = finish("show", spec, "--storage", str(undisturbed), columns=80)
    assert {"peak", "last", "stop"} <= set(narrow.split("┡")[0].split()), "told apart in a narrow terminal too"
    code, _ = finish("show", spec, "--storage", str(undisturbed), "--csv", str(tmp_path / "all.csv"))
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert code == 0
    assert len(lines) == 1 + 4 * 4
    code, output = finish("show", spec, "--storage", str(undisturbed), "--csv", str(tmp_path / "no folder" / "all.csv"))
    assert code == 2
    assert output.startswith(f"error: --csv {tmp_path / 'no folder' / 'all.csv'} cannot be written")


def test_results_are_fetched_once_and_only_from_where_there_are_some(undisturbed: Path, tmp_path: Path) -> None:
    here = str(tmp_path / "here")
    assert finish("fetch", str(undisturbed), "--storage", here)[0] == 0
    assert results(tmp_path / "here") == results(undisturbed)
    code, output = finish("fetch", str(undisturbed), "--storage", here)
    assert (code, output.split()[0]) == (0, "0")
    code, output = finish("fetch", str(tmp_path / "nowhere"), "--storage", here)
    assert (code, output) == (2, f"error: there are no results in {tmp_path / 'nowhere'}; correct the name\n")


def test_killed_at_any_moment_and_run_again_it_ends_as_if_undisturbed(
    undisturbed: Path, spec: str, tmp_path: Path
) -> None:
    process = start("run", spec, "--storage", str(tmp_path))
    wait_for_fits(tmp_path, 4)
    process.kill()  # the driver alone: Ray has to notice by itself
    process.communicate()
    survivors = {path.name for path in tmp_path.glob("fits/*/*.parquet")}
    code, output = finish("run", spec, "--storage", str(tmp_path))
    assert code == 0, output
    assert results(tmp_path) == results(undisturbed)
    assert survivors <= {path.name for path in tmp_path.glob("fits/*/*.parquet")}, "nothing published is done again"
    assert not Ledger(tmp_path).damaged()
    for fit in {fit for trajectory in read(spec).trajectories for fit in trajectory.fits if fit.has_next_mask}:
        assert Ledger(tmp_path).next_mask(fit) == Ledger(undisturbed).next_mask(fit)


def test_ctrl_c_ends_in_good_order(spec: str, tmp_path: Path) -> None:
    long = tmp_path / "tiny.yaml"
    long.write_text(Path(spec).read_text().replace("rounds: 3", "rounds: 40"))
    process = start("run", str(long), "--storage", str(tmp_path))
    wait_for_fits(tmp_path, 2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "still to do" in output
    assert "Traceback" not in output
    assert not Ledger(tmp_path).damaged()
    assert not list(tmp_path.rglob(".[0-9a-f]*")), "no temporary file is left"


def test_a_trial_that_raises_is_listed_with_its_cause_and_the_others_go_on(spec: str, tmp_path: Path) -> None:
    trajectory = next(t for t in read(spec).trajectories if t.pruner == "random" and t.rewind == 0)
    obstacle = tmp_path / "fits" / trajectory.fits[2].id[:2]
    obstacle.parent.mkdir(parents=True)
    obstacle.write_text("a file where a folder is needed")
    code, output = finish("run", spec, "--storage", str(tmp_path))
    assert code == 1, output
    code, output = finish("status", spec, "--storage", str(tmp_path))
    assert code == 1
    assert "failed: " in output
    assert "Error in round 2" in output
    obstacle.unlink()
    code, output = finish("run", spec, "--storage", str(tmp_path))
    assert code == 0, output
    assert not Ledger(tmp_path).failures(), "a failure that was overcome is forgotten"
    assert pc.count(Ledger(tmp_path).fits(["fit"])["fit"]).as_py() == 14


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "existance"], "there is no sweep 'existance'; did you mean 'existence'?"),
        (["run", "smoke", "--backend", "nunba"], "there is no backend 'nunba'; did you mean 'numba'?"),
        (["run", "smoke", "--gpus", "1.5"], "--gpus 1.5: a trial has a part of one GPU, or whole ones"),
        (["run", "smoke", "--profile", "mino"], "there is no profile 'mino'; did you mean 'mini'?"),
        (["plan", "smoke", "--only", "x"], "'x' is not understood; give it as key=value, for example task=inpaint"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    assert finish(*arguments, "--storage", str(tmp_path / "new")) == (2, f"error: {sentence}\n")
    assert not (tmp_path / "new").exists(), "nothing was started"


def test_storage_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, output = finish("run", "smoke", "--storage", str(tmp_path / "file" / "results"))
    assert code == 2
    assert output.startswith(f"error: storage {tmp_path / 'file' / 'results'} cannot be written")
    assert output.count("\n") == 1


def test_importing_sweeps_is_cheap() -> None:
    heavy = ("torch", "ray", "pandas")
    code = f"import sys, sweeps, sweeps.plan, sweeps.spec; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
