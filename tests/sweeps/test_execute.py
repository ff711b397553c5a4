from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lip.errors import InputError
from lip.ledger.ledger import Ledger
from sweeps.progress import ALIVE_FOR, preceded


def test_a_gpu_that_torch_does_not_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray counts devices, whatever their driver."""
    from sweeps.execute import _require

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"torch .* sees no GPU, but Ray counts one"):
        _require("auto", "cuda", set())
    _require("dense", "cpu", set())


@pytest.mark.parametrize(
    ("name", "age", "at", "yields"),
    [
        (".running-tiny.smoke-a.json", 0, "t", True),
        (".running-tiny.smoke-a.json", 0, "another", False),
        (".running-tiny.smoke-a.json", ALIVE_FOR + 1, "t", False),
        (".running-tiny.smoke-c.json", 0, "t", False),  # which comes later and yields itself
        (".running-tiny.mini-a.json", 0, "t", False),
    ],
)
def test_of_two_runs_at_one_trajectory_the_later_one_yields(
    tmp_path: Path, name: str, age: float, at: str, yields: bool
) -> None:
    own = ".running-tiny.smoke-b.json"
    for sign, said in ((own, {"t": ""}), (name, {at: ""})):
        (tmp_path / sign).write_text(json.dumps({"time": time.time() - age, "at": said}))
    assert preceded(Ledger(tmp_path), own, "t") == yields


def test_nothing_is_left_to_a_run_of_this_machine_that_was_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    said = {"time": time.time(), "at": {"t": ""}, "host": platform.node(), "process": process.pid}
    (tmp_path / ".running-tiny.smoke-a.json").write_text(json.dumps(said))
    assert preceded(Ledger(tmp_path), ".running-tiny.smoke-b.json", "t")
    process.kill()
    process.communicate()
    assert not preceded(Ledger(tmp_path), ".running-tiny.smoke-b.json", "t")


def test_a_storage_that_is_away_is_no_reason_to_yield(tmp_path: Path) -> None:
    assert not preceded(Ledger(tmp_path / "gone"), ".running-tiny.smoke-b.json", "t")
