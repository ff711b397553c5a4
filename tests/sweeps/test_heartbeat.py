from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lip.ledger.filesystem import Storage
from lip.ledger.ledger import Ledger
from sweeps.heartbeat import ALIVE_FOR, DELETE_AFTER, Heartbeat, file_of, running
from sweeps.lease import leased


def write_beat(folder: Path, run: str, age: float = 0.0, **content: object) -> None:
    path = folder / file_of(run)
    path.write_text(json.dumps({"at": {"t": "round 1"}, **content}))
    os.utime(path, (time.time() - age,) * 2)


def write_lease(folder: Path, fit: str, run: str, age: float = 1.0) -> Path:
    path = folder / f".lease-{fit}-{run}"
    path.touch()
    os.utime(path, (time.time() - age,) * 2)
    return path


class TestHeartbeat:
    def test_it_says_where_a_run_is_and_ends_with_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sweeps.heartbeat.INTERVAL", -1.0)
        ledger = Ledger(tmp_path / "results")
        with Heartbeat(ledger) as own, Heartbeat(ledger) as other:
            own.at["t"], other.at["u"] = "round 1, step 3", "starting"
            own.beat()
            other.beat()
            assert running(ledger.storage) == {"t": "round 1, step 3", "u": "starting"}
        assert ledger.storage.names() == []

    def test_it_is_not_written_again_so_soon(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path / "results")
        with Heartbeat(ledger) as own:
            own.at["t"] = "starting"
            own.beat()
            assert running(ledger.storage) == {}

    @pytest.mark.parametrize(("age", "lives"), [(0, True), (ALIVE_FOR + 5, False), (-86_400, False)])
    def test_a_run_lives_as_long_as_the_storage_sees_it_write(self, tmp_path: Path, age: float, lives: bool) -> None:
        write_beat(tmp_path, "other", age, time=time.time() + 86_400)  # which was once believed
        assert (running(Storage(tmp_path)) != {}) == lives

    def test_a_killed_run_of_this_machine_is_dead_at_once(self, tmp_path: Path) -> None:
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        write_beat(tmp_path, "other", host=platform.node(), process=process.pid)
        assert running(Storage(tmp_path)) == {"t": "round 1"}
        process.kill()
        process.communicate()
        assert running(Storage(tmp_path)) == {}

    @pytest.mark.parametrize("content", ["[]", "", '{"at": 3}', '{"host": "HOST", "process": 99999999999999999999}'])
    def test_what_is_no_heartbeat_says_nothing(self, tmp_path: Path, content: str) -> None:
        (tmp_path / file_of("other")).write_text(content.replace("HOST", platform.node()))
        assert running(Storage(tmp_path)) == {}

    def test_that_of_a_killed_run_is_deleted_after_a_day(self, tmp_path: Path) -> None:
        ages = {"old": 2 * DELETE_AFTER, "ahead": -2 * DELETE_AFTER, "fresh": 2 * ALIVE_FOR}
        for run, age in ages.items():
            write_beat(tmp_path, run, age)
        with Heartbeat(Ledger(tmp_path)) as own:
            assert set(Storage(tmp_path).names()) == {file_of("fresh"), file_of(own.run)}


class TestLease:
    def test_of_two_runs_the_first_to_ask_gets_it(self, tmp_path: Path) -> None:
        storage = Storage(tmp_path)
        for run in ("a", "b"):
            write_beat(tmp_path, run)
        with leased(storage, "fit", "b") as first, leased(storage, "fit", "a") as second:
            assert (first, second) == (True, False)
            with leased(storage, "another", "a") as mine:
                assert mine
        with leased(storage, "fit", "a") as mine:
            assert mine, "it ended with the context"

    @pytest.mark.parametrize("age", [ALIVE_FOR + 5, -86_400, None])
    def test_a_dead_run_loses_it(self, tmp_path: Path, age: float | None) -> None:
        write_beat(tmp_path, "own")
        if age is not None:
            write_beat(tmp_path, "other", age)
        left = write_lease(tmp_path, "fit", "other")
        with leased(Storage(tmp_path), "fit", "own") as mine:
            assert mine
            assert not left.exists()

    def test_a_run_asks_again_for_what_its_killed_worker_held(self, tmp_path: Path) -> None:
        write_beat(tmp_path, "own")
        write_lease(tmp_path, "fit", "own")
        with leased(Storage(tmp_path), "fit", "own") as mine:
            assert mine
        assert Storage(tmp_path).names() == [file_of("own")]

    def test_a_storage_that_is_away_is_no_reason_to_wait_for_others(self, tmp_path: Path) -> None:
        storage = Storage(tmp_path / "gone")
        storage.write("seen", b"")
        (tmp_path / "gone" / "seen").unlink()
        (tmp_path / "gone").rmdir()
        with leased(storage, "fit", "own") as mine:
            assert mine
