from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lip.errors import InputError
from sweeps.session import close_to_others, interrupts_deferred, private_folder
from tests.sweeps.helpers import WAIT, Run, wait_for_fits

LONG = "a_rather_long_scratch_directory_of_a_cluster/slurm_jobdir/1355700/tmp.t0016"
STRANGER = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1]).internal_kv_keys(b'', None)"
"""What an attacker would do first: read what Ray's server holds (`ray.init` would not even try a loopback address)."""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    return folder


class TestPrivateFolder:
    def test_only_the_user_can_enter_it_while_it_is_there(self, temporary: Path) -> None:
        with private_folder() as folder:
            assert folder.parent == temporary
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            (folder / "log").write_text("last words")
        assert not folder.exists()

    def test_that_of_a_killed_run_is_removed_and_that_of_a_living_one_is_not(self, temporary: Path) -> None:
        code = "from sweeps.session import *\nwith private_folder() as folder: print(folder, flush=True); input()"
        process = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True)
        assert process.stdout is not None
        other = Path(process.stdout.readline().strip())
        with private_folder():
            assert other.exists()
        process.kill()
        process.communicate()
        assert other.exists()
        with private_folder():
            assert not other.exists()

    @pytest.mark.parametrize(("variable", "parent"), [("TMPDIR", "/tmp"), ("RAY_TMPDIR", None)])
    def test_its_path_has_to_leave_room_for_sockets(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, parent: str | None
    ) -> None:
        (long := tmp_path / LONG).mkdir(parents=True)
        monkeypatch.delenv("RAY_TMPDIR", raising=False)
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.setenv(variable, str(long))
        if parent:
            with private_folder() as folder:
                assert folder.parent == Path(parent)
        else:
            with pytest.raises(InputError, match=r"RAY_TMPDIR=\S+ is too long for Ray's sockets; set it to a shorter"):
                private_folder().__enter__()

    def test_a_folder_that_is_not_there_is_one_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAY_TMPDIR", "/nowhere")
        with pytest.raises(
            InputError, match=r"^/nowhere cannot hold temporary files \(No such file or directory\); set"
        ):
            private_folder().__enter__()


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_an_interrupt_waits_until_a_start_is_over() -> None:
    reached = []

    def start() -> None:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_every_run_has_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy() | {"RAY_AUTH_MODE": "disabled"})
    tokens = set()
    for _ in range(2):
        close_to_others()
        assert os.environ["RAY_AUTH_MODE"] == "token"
        tokens.add(os.environ["RAY_AUTH_TOKEN"])
    assert len(tokens) == 2
    assert min(map(len, tokens)) == 64


def test_nobody_else_can_speak_to_a_run_of_this_machine(
    write: Callable[..., str], tmp_path: Path, temporary: Path
) -> None:
    spec = write(grid={"pruner": ["random"]}, profiles={"smoke": {"rounds": 2, "steps": 1000}})
    run = Run("run", spec, "--storage", tmp_path / "results", "--slots", "1", "--backend", "dense")
    wait_for_fits(tmp_path / "results", 1)
    (server,) = run.descendants("gcs_server")
    listening = {
        connection.laddr
        for process in [psutil.Process(run.process.pid), *psutil.Process(run.process.pid).children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(listening) >= 5
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    port = next(c.laddr.port for c in server.net_connections("inet") if c.status == psutil.CONN_LISTEN)
    for token in ({}, {"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | token
        stranger = subprocess.run(
            [sys.executable, "-c", STRANGER, f"127.0.0.1:{port}"],
            env=environment | {"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=WAIT,
        )
        assert stranger.returncode != 0
        assert "AuthenticationError" in stranger.stderr
    code, output = run.finish()
    assert code == 0, output
    deadline = time.monotonic() + 5
    while list(temporary.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(temporary.iterdir()) == [], "sessions and logs are removed"
