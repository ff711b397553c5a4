"""Train and publish the missing fits of one trajectory.

A trial tells the driver what happens by reports (`tune.report`), dictionaries with these keys:

- `published` (the id of a fit) and `row` (its SHOWN columns as JSON; null if it was not trained just now)
- `mask`, `step` and `score`: where the training of a fit is
- `waiting`: for what
- `failed` (the cause) and `out_of_memory`, or `elsewhere`: why the trial ends early
"""

from __future__ import annotations

import gc
import json
import pickle
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import ray
from ray import tune

from lip import terminal
from lip.errors import InputError
from lip.ledger.ledger import Ledger
from lip.specs.fit import Fit
from lip.training.run import run_fit
from sweeps.heartbeat import file_of
from sweeps.lease import leased

SECONDS_BETWEEN_REPORTS = 1.0
PATIENCE = 600.0
"""Seconds that a trial waits for a storage that has gone away before it fails."""
SHOWN = ["sparsity", "seconds", *terminal.ROW_COLUMNS]
"""The columns of a row that are shown when it is published."""


class Work(NamedTuple):
    """The work of a trial."""

    fits: list[Fit]
    outputs: frozenset[str]
    """The ids of those whose restored images are kept."""
    pixels: dict[str, np.ndarray]
    """Inputs that a search has loaded since the run began, by content hash."""


def run_trial(config: dict[str, Any], pixels: dict[str, np.ndarray], storage: str, run: str, backend: str) -> None:
    """Train and publish the fits of the trajectory `config["key"]`.

    `config["gpus"]` is its share of a GPU, `config["work"]` its pickled `Work`, `run` the id of this run.
    """
    ledger = Ledger(storage)
    work: Work = pickle.loads(config["work"])  # from the driver
    pixels = pixels | work.pixels
    device = _prepare_process(config["gpus"])
    for fit in work.fits:
        with leased(ledger.storage, fit.id, run) as mine:
            if not mine:
                tune.report({"elsewhere": True})
                return
            try:
                trained = _publish(fit, pixels, fit.id in work.outputs, ledger, run, device, backend)
            except Exception as error:  # report it and leave the slot to others
                tune.report(_failure(fit, error))
                return
        row = None
        with suppress(OSError):  # a storage that goes away now does not undo what is published
            row = next(iter(ledger.fits(SHOWN, [fit.id]).to_pylist()), None) if trained else None
        tune.report({"published": fit.id, "row": json.dumps(row)})  # as text: Tune keeps count of every number


def _prepare_process(gpus: float) -> str:
    """Set threads and memory for a trial. Returns its device."""
    import torch

    _freeze_gc()
    torch.set_num_threads(max(1, int(tune.get_context().get_trial_resources().head_cpus)))
    gc.collect()  # what the trial before left behind in this process
    if not ray.get_gpu_ids():
        return "cpu"
    torch.cuda.empty_cache()
    if gpus < 1:  # so that the trial that wants too much fails, and not its neighbour
        torch.cuda.set_per_process_memory_fraction(gpus)
    return "cuda"


@cache
def _freeze_gc() -> None:
    """Exempt imported objects from garbage collection, once per process.

    This saves 0.1 seconds per trial.
    """
    gc.collect()
    gc.freeze()


def _failure(fit: Fit, error: Exception) -> dict[str, Any]:
    import torch

    memory = isinstance(error, torch.OutOfMemoryError)
    return {"failed": f"{type(error).__name__} in {fit.recipe}: {error}", "out_of_memory": memory}


def _publish(
    fit: Fit, pixels: dict[str, Any], outputs: bool, ledger: Ledger, run: str, device: str, backend: str
) -> bool:
    """Publish a fit, waiting for the storage whenever it goes away. Returns whether the fit was trained now."""
    while True:
        _wait_for_storage(ledger, run)
        try:
            trained = run_fit(fit, pixels, ledger, device, _report_steps, outputs, backend, whole=True)
        except (OSError, LookupError):
            if _storage_visible(ledger, run):
                raise
        else:
            if _storage_visible(ledger, run):  # else it went to the empty folder below an unmounted disk
                return trained


def _storage_visible(ledger: Ledger, run: str) -> bool:
    """Tell whether the storage shows the heartbeat of this run."""
    try:
        ledger.storage.read(file_of(run))
        return True
    except OSError:
        return False


def _wait_for_storage(ledger: Ledger, run: str) -> None:
    """Wait until the storage is visible. Raises InputError after `PATIENCE`."""
    began = time.monotonic()
    while not _storage_visible(ledger, run):
        if time.monotonic() - began > PATIENCE:
            raise InputError(f"storage {ledger.storage} is not visible on node {platform.node()}")
        tune.report({"waiting": f"for storage {ledger.storage} on {platform.node()}"})
        time.sleep(min(10.0, 0.5 + 0.2 * (time.monotonic() - began)))


def _report_steps(fit: Fit) -> Callable[[int, float], None]:
    """Return a watch that reports the training of a fit."""
    reported = time.monotonic()

    def watch(step: int, score: float) -> None:
        nonlocal reported
        if time.monotonic() - reported >= SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            tune.report({"mask": str(fit.recipe), "step": step, "score": fit.task.format_score(score)})

    return watch
