"""The state of a sweep, also in a ledger that holds what it should not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lip.ledger.ledger import Ledger
from lip.ledger.schema import VERSION
from lip.ledger.tables import to_parquet
from lip.specs.fit import Fit
from sweeps.heartbeat import file_of
from sweeps.plan import Plan
from sweeps.spec import read
from sweeps.status import counts, statuses
from tests.sweeps.helpers import publish, row

Cli = Callable[..., tuple[int, str]]
Report = Callable[..., str]


@pytest.fixture
def report(cli: Cli) -> Report:
    """Runs a command on a ledger; gives its output."""

    def run(command: str, ledger: Ledger, *arguments: str) -> str:
        code, output = cli(command, *arguments, "--storage", str(ledger.root))
        assert code == 0, output
        return output

    return run


def test_a_trajectory_is_done_running_failed_or_waiting(write: Callable[..., str], tmp_path: Path) -> None:
    sweep = read(write(grid={"pruner": ["imp", "random", "snip", "grasp"]}, fixed={"image": "astronaut", "rounds": 1}))
    ledger = Ledger(tmp_path / "results")
    done, runs, failed, _ = sweep.trajectories
    for fit in done.fits:
        publish(ledger, fit)
    for key in (runs.id, failed.id, done.id):  # another run has finished what failed once
        ledger.record_failure(key, "OSError: disk full")
    ledger.storage.write(file_of("another"), json.dumps({"at": {runs.id: "round 1, step 3"}}).encode())
    found = statuses(Plan.make(sweep, ledger), ledger)
    assert [(one.state, one.detail) for one in found] == [
        ("done", ""),
        ("running", "round 1, step 3"),
        ("failed", "OSError: disk full"),
        ("waiting", ""),
    ]
    assert [(one.published, one.results) for one in found] == [(2, 2), (1, 2), (1, 2), (1, 2)]
    assert counts(found) == {"done": 1, "running": 1, "failed": 1, "waiting": 1}


def test_watching_ends_when_only_failures_are_left_and_no_run_lives(
    write: Callable[..., str], tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(grid={"pruner": ["imp", "random"]})
    ledger = Ledger(tmp_path / "results")
    done, failed = read(path).trajectories
    for fit in done.fits:
        publish(ledger, fit)
    ledger.record_failure(failed.id, "OSError: disk full")
    heartbeat, looks = file_of("another"), []
    ledger.storage.write(heartbeat, b'{"at": {}}')  # this run may try it again

    def look_again(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            ledger.storage.remove(heartbeat)

    monkeypatch.setattr("sweeps.cli.time.sleep", look_again)
    code, output = cli("status", path, "--watch", "--storage", str(ledger.root))
    assert (code, len(looks)) == (1, 3)
    assert output.count("1 done, 0 running, 1 failed, 0 waiting") == 4


def test_the_log_of_a_failure_is_printed_and_does_nothing_in_a_terminal(
    write: Callable[..., str], tmp_path: Path, cli: Cli
) -> None:
    path = write(grid={"pruner": ["imp", "random"]})
    ledger = Ledger(tmp_path / "results")
    trajectory = read(path).trajectories[0]
    log = "on host\nTraceback:\n  [red]one\x1b[2J\n  s3://key:secret@host/bucket?token=secret\nOSError: disk full"
    ledger.record_failure(trajectory.id, "OSError: s3://key:secret@host/bucket", log)
    code, output = cli("logs", path, "--storage", str(ledger.root))
    assert code == 0
    assert output == (
        "failed astronaut, imp, seed 0: OSError: s3://host/bucket\n"
        "    on host\n    Traceback:\n      [red]one\\x1b[2J\n"
        "      s3://host/bucket\n    OSError: disk full\n"
    )
    assert not [path for path in ledger.root.rglob("*.json") if b"secret" in path.read_bytes()]
    output = cli("logs", path, "--storage", str(ledger.root), "--only", "pruner=random")[1]
    assert output == f"no trajectory of tiny (smoke) has failed in {ledger.root}\n"


def test_a_whole_ledger_has_no_faults(published: Ledger, spec: str, report: Report) -> None:
    for command in ("status", "show"):
        output = report(command, published, spec)
        assert "3 of 3 results published" in output
        assert "conflict" not in output
        assert "damaged" not in output
    state = json.loads(report("status", published, spec, "--json"))
    assert (state["published_fits"], state["damaged"], state["conflicts"]) == (3, [], {})


def test_a_row_under_another_key_is_listed_and_to_do(
    published: Ledger, spec: str, fits: list[Fit], report: Report
) -> None:
    own, other = (next(published.root.glob(f"fits/*/{fit.id}-*")) for fit in fits[:2])
    own.unlink()
    swapped = own.with_name(other.name.replace(fits[1].id, fits[0].id))
    swapped.write_bytes(other.read_bytes())
    output = report("status", published, spec)
    assert "2 of 3 results published" in output
    assert f"damaged and ignored: {swapped}" in output
    state = json.loads(report("status", published, spec, "--json"))
    assert (state["published_fits"], state["damaged"]) == (2, [str(swapped)])


def test_junk_is_listed_and_ends_no_command(published: Ledger, spec: str, fits: list[Fit], report: Report) -> None:
    hurt = [shelf.add("zz", b"junk") for shelf in published.stores.values()]
    next(published.root.glob(f"fits/*/{fits[0].id}-*")).unlink()
    hurt.append(published.rows.blobs.add(fits[0].id, b"junk"))
    for command, *arguments in (("status", spec), ("compact",)):
        output = report(command, published, *arguments)
        assert output.count("damaged and ignored: ") == len(hurt)
        assert all(str(published.root / path) in output for path in hurt)
    assert "2 of 3 results published" in report("show", published, spec)


def test_results_that_differ_are_a_conflict_that_folding_keeps(
    published: Ledger, spec: str, fits: list[Fit], report: Report
) -> None:
    """The true row is the one finished first; four others have been edited, whatever their hashes."""
    for psnr in (96.0, 97.0, 98.0, 99.0):
        publish(published, fits[1], psnr_last_ema=psnr, seconds=psnr)
    conflict = f"conflict: fit {fits[1].id} was published with differing psnr_last_ema; the first finished is used"
    for _ in range(2):
        for command, *arguments in (("status", spec), ("show", spec), ("compact",)):
            assert report(command, published, *arguments).count(conflict) == 1
        assert json.loads(report("status", published, spec, "--json"))["conflicts"] == {fits[1].id: ["psnr_last_ema"]}
        assert published.fits(["psnr_last_ema"], [fits[1].id]).to_pylist() == [{"psnr_last_ema": 1.0}]


def test_a_conflict_of_another_sweep_does_not_disturb_this_one(
    published: Ledger, spec: str, fits: list[Fit], report: Report
) -> None:
    other = fits[1].replace(seed=7)
    for psnr in (1.0, 2.0):
        publish(published, other, psnr_last_ema=psnr)
    assert "conflict" not in report("show", published, spec)
    assert "conflict" in report("status", published, spec)


@pytest.mark.parametrize(("version", "age"), [(99, "a newer"), (1, "an older")])
def test_every_command_refuses_another_schema_in_one_sentence(
    published: Ledger, spec: str, fits: list[Fit], cli: Cli, version: int, age: str
) -> None:
    next(published.root.glob(f"fits/*/{fits[1].id}-*")).unlink()
    path = published.root / published.rows.blobs.add(fits[1].id, to_parquet(row(fits[1], schema=version)))
    for command, *arguments in (("status", spec), ("show", spec), ("run", spec), ("compact",)):
        code, output = cli(command, *arguments, "--storage", str(published.root))
        assert code == 2
        assert output.startswith(
            f"error: {path} was written by {age} lip (schema {version}, this one reads {VERSION});"
        )
        assert output.count("\n") == 1
    assert path.exists()
