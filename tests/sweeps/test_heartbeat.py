from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lip.ledger.ledger import Ledger
from sweeps.heartbeat import ALIVE_FOR, DELETE_AFTER, Heartbeat, claimed_elsewhere, running
from sweeps.spec import Sweep, read

OWN = ".running-tiny.smoke-b.json"


@pytest.fixture
def sweep(spec: str) -> Sweep:
    return read(spec)


def write_beat(folder: Path, name: str, age: float = 0.0, at: object = None, **process: object) -> None:
    content = {"time": time.time() - age, "at": {"t": "round 1"} if at is None else at, **process}
    (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "age", "at", "claimed"),
    [
        (".running-tiny.smoke-a.json", 0, "t", True),
        (".running-tiny.smoke-a.json", 0, "another", False),
        (".running-tiny.smoke-a.json", ALIVE_FOR + 1, "t", False),
        (".running-tiny.smoke-c.json", 0, "t", False),  # which is later by name and yields itself
        (".running-tiny.mini-a.json", 0, "t", False),
    ],
)
def test_of_two_runs_at_one_trajectory_the_later_by_name_yields(
    tmp_path: Path, name: str, age: float, at: str, claimed: bool
) -> None:
    write_beat(tmp_path, OWN)
    write_beat(tmp_path, name, age, {at: ""})
    assert claimed_elsewhere(Ledger(tmp_path), OWN, "t") == claimed


def test_a_killed_run_of_this_machine_claims_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_beat(tmp_path, ".running-tiny.smoke-a.json", host=platform.node(), process=process.pid)
    assert claimed_elsewhere(Ledger(tmp_path), OWN, "t")
    process.kill()
    process.communicate()
    assert not claimed_elsewhere(Ledger(tmp_path), OWN, "t")


def test_a_storage_that_is_away_is_no_reason_to_yield(tmp_path: Path) -> None:
    assert not claimed_elsewhere(Ledger(tmp_path / "gone"), OWN, "t")


def test_a_run_is_seen_while_it_lives(sweep: Sweep, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "results")
    with Heartbeat(sweep, ledger) as own:
        assert not own.has_company()
        own.at["t"] = "round 1, step 3"
        own.beat()
        assert running(ledger, sweep) == {}, "not written again so soon"
        with Heartbeat(sweep, ledger) as other:
            other.at["u"] = "starting"
            assert own.has_company()
            assert other.has_company()
        assert not own.has_company()
    assert ledger.storage.names() == []


def test_the_heartbeat_says_where_a_run_is(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.heartbeat.INTERVAL", -1.0)
    with Heartbeat(sweep, ledger := Ledger(tmp_path)) as own:
        own.at["t"] = "round 1, step 3"
        own.beat()
        assert running(ledger, sweep) == {"t": "round 1, step 3"}


def test_the_heartbeat_of_a_killed_run_is_deleted_after_a_day(sweep: Sweep, tmp_path: Path) -> None:
    old, fresh, odd = (f".running-tiny.smoke-{name}.json" for name in ("old", "fresh", "odd"))
    write_beat(tmp_path, old, 2 * DELETE_AFTER)
    write_beat(tmp_path, fresh, 2 * ALIVE_FOR)
    write_beat(tmp_path, odd, at=2)
    ledger = Ledger(tmp_path)
    assert running(ledger, sweep) == {}
    with Heartbeat(sweep, ledger) as own:
        assert set(ledger.storage.names()) == {fresh, odd, own.name, "tiny.yaml"}
