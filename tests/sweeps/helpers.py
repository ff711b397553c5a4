"""Sweeps in processes of their own, and invented results."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pyarrow as pa

from lip.ledger.ledger import Ledger
from lip.ledger.schema import FITS, RESULTS, VERSION
from lip.masks import Layer, Mask
from lip.specs.fit import Fit

WAIT = 600
ENVIRONMENT = os.environ | {"COLUMNS": "200", "RAY_AUTH_MODE": "disabled"}


def _heed_interrupts() -> None:
    """Undo what a shell does to programs in its background, where tests may run: ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Run:
    """`python -m sweeps ...` as the leader of a process group."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sweeps", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_heed_interrupts,
            env=ENVIRONMENT | environment,
        )

    def finish(self) -> tuple[int, str]:
        """Wait for its end. Returns exit status and output."""
        output, _ = self.process.communicate(timeout=WAIT)
        return self.process.returncode, output

    def descendants(self, *names: str) -> list[psutil.Process]:
        """Return the processes of this run whose command line contains one of these words."""
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return [process for process in found if any(name in _command(process) for name in names)]


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def wait_for_fits(storage: Path, count: int) -> None:
    deadline = time.monotonic() + WAIT
    while len(list(storage.glob("fits/*/*.parquet"))) < count:
        assert time.monotonic() < deadline, "nothing is published"
        time.sleep(0.05)


def results(storage: Path) -> list[dict[str, object]]:
    return Ledger(storage).fits(RESULTS).to_pylist()


def row(fit: Fit, **values: object) -> pa.Table:
    """An invented row of a fit."""
    known = {"fit": fit.id, "schema": VERSION, "spec": fit.canonical_text, "sparsity": 0.0, "collapsed": False}
    known |= {"started": datetime(2026, 1, 2, tzinfo=UTC), "seconds": 1.0}
    return pa.Table.from_pylist([known | values], FITS)


def publish(ledger: Ledger, fit: Fit, **values: object) -> None:
    """Publish a fit by an invented row and mask, beside what is published of it with other results."""
    mask = Mask.dense([Layer("s0", (2, 2, 1, 1))]).to_bytes({"schema": str(VERSION)})
    ledger.stores["next_masks"].put(fit.id, mask)
    ledger.rows.put(fit.id, row(fit, **values))
