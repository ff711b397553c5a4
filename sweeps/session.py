"""Start Ray on this machine so that only the user's own processes can speak to it.

Imports no ray, which reads its environment when it is imported, unless the user has done so.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from lip.errors import InputError

MAX_PATH = 107
"""Bytes of a Unix socket's path, by Linux."""
PATH_IN_SESSION = "/lip-12345678/r/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""The longest path below the folder for temporary files."""


def close_to_others() -> None:
    """Let the Ray that this process starts listen on loopback only, and require a token of this run.

    Without a token, whoever reaches the sockets of a Ray runs code as its owner.
    """
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on any system, it makes 127.0.0.1 the node's address
    if "ray" in sys.modules:  # it has read the environment when it was imported
        from ray._private import ray_constants
        from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled

        ray_constants.ENABLE_RAY_CLUSTER = False
        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a temporary folder that only this user can enter; remove it, and those of killed runs.

    Raises InputError if the folder for temporary files cannot take it.
    """
    parent = _temporary()
    _remove_abandoned(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix="lip-", dir=parent))
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise InputError(
            f"{parent} cannot hold temporary files ({error.strerror}); set RAY_TMPDIR to a folder that can"
        ) from error
    try:
        yield folder
    finally:
        os.close(lock)
        for pause in (0.2, 1.0, 0.0):  # Ray's processes may write their last words
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(pause)


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """Put back after the context what SIGTERM does now."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        with suppress(ValueError):  # not the main thread, which alone sets handlers
            signal.signal(signal.SIGTERM, before)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Raise KeyboardInterrupt after the context instead of in it: Ray's start cannot be interrupted anywhere."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script
        yield
        return
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


def _temporary() -> Path:
    """Return a folder for temporary files with a path that is short enough for Ray. Raises InputError."""
    try:
        asked = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    except FileNotFoundError as error:
        raise InputError(f"there is no folder for temporary files ({error}); set RAY_TMPDIR to one") from error
    if len(os.fsencode(asked + PATH_IN_SESSION)) <= MAX_PATH:
        return Path(asked)
    if os.environ.get("RAY_TMPDIR"):
        raise InputError(f"RAY_TMPDIR={asked} is too long for Ray's sockets; set it to a shorter path, such as /tmp")
    return Path("/tmp")


def _remove_abandoned(parent: Path) -> None:
    """Remove this user's folders of runs that were killed: nobody holds their locks."""
    for folder in parent.glob("lip-????????"):
        with suppress(OSError):
            if folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / "lock", os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
