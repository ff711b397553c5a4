"""Train and publish the missing fits of one trajectory.

A trial tells the driver what happens by reports (`tune.report`), dictionaries with these keys:

- `round`, `training_iteration` (the same) and METRICS: a round's result, for Tune's loggers and schedulers
- `published` (the id of a fit) and `row` (its SHOWN columns as JSON; null if it was not trained just now)
- `mask`, `step` and `score`: where the training of a fit is
- `waiting`: for what
- `failed` (the cause), `log` (the traceback) and `out_of_memory`, or `elsewhere`, or `drained`: why it ends early
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import platform
import time
import traceback
from collections import deque
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
from lip.ledger.schema import SCORES
from lip.specs.fit import Fit
from lip.training.run import run_fit
from sweeps.heartbeat import file_of, may_begin
from sweeps.lease import leased

SECONDS_BETWEEN_REPORTS = 1.0
PATIENCE = 600.0
"""Seconds that a trial waits for a storage that has gone away before it fails."""
SHOWN = ["sparsity", "seconds", *terminal.ROW_COLUMNS]
"""The columns of a row that are shown when it is published."""
SCORED = [f"{what}_{output}" for what in ("psnr", "ssim", "step") for output in (*SCORES, "emv")]
METRICS = ["sparsity", "n_kept", *SCORED, "loss", "accuracy_last", "accuracy_peak", "mse_last", "mse_peak"]
METRICS += ["backtracks", "collapsed", "stalled", "diverged", "empty_layers", "steps", "seconds"]
"""The columns of a row that are reported as the result of a round; those that are null are left out."""


class Work(NamedTuple):
    """The work of a trial."""

    fits: list[Fit]
    rounds: list[str]
    """The ids of the fits of its rounds, if they are to be reported."""
    outputs: frozenset[str]
    """The ids of those whose restored images are kept."""
    weights: frozenset[str]
    """The ids of those whose trained weights are kept."""
    seconds: dict[str, float]
    """What they are estimated to take, by id, if the run has a budget."""
    pixels: dict[str, np.ndarray]
    """Inputs that a search has loaded since the run began, by content hash."""


def run_trial(config: dict[str, Any], pixels: dict[str, np.ndarray], storage: str, run: str, backend: str) -> None:
    """Train and publish the fits of the trajectory `config["key"]`.

    `config["gpus"]` is its share of a GPU, `config["work"]` its pickled `Work`, `run` the id of this run.
    """
    ledger = Ledger(storage)
    work: Work = pickle.loads(config.pop("work"))  # from the driver; each of Tune's results would send it back
    pixels = pixels | work.pixels
    rounds = Rounds(ledger, work.rounds, work.fits)
    device = _prepare_process(config["gpus"])
    for fit in work.fits:
        if not may_begin(ledger.storage, run, work.seconds.get(fit.id, 0.0)):
            tune.report({"drained": True})
            return
        with leased(ledger.storage, fit.id, run) as mine:
            if not mine:
                tune.report({"elsewhere": True})
                return
            try:
                keep = {"outputs": fit.id in work.outputs, "weights": fit.id in work.weights}
                trained = _publish(fit, pixels, keep, ledger, run, device, backend)
            except Exception as error:  # report it and leave the slot to others
                tune.report(_failure(fit, error))
                return
        row = None
        with suppress(OSError):  # a storage that goes away now does not undo what is published
            row = next(iter(ledger.fits(SHOWN, [fit.id]).to_pylist()), None) if trained else None
        tune.report({"published": fit.id, "row": json.dumps(row)})  # as text: Tune keeps count of every number
        rounds.published(fit)


class Rounds:
    """Report the results of a trajectory's rounds in order, each as soon as it and all before it are published."""

    def __init__(self, ledger: Ledger, ids: list[str], missing: list[Fit]) -> None:
        self._ledger = ledger
        self._waiting = deque(enumerate(ids))
        self._missing = {fit.id for fit in missing}
        self._report()

    def published(self, fit: Fit) -> None:
        """Report what is complete now that a fit is published."""
        self._missing.discard(fit.id)
        self._report()

    def _report(self) -> None:
        ready: dict[int, str] = {}
        while self._waiting and self._waiting[0][1] not in self._missing:
            number, key = self._waiting.popleft()
            ready[number] = key
        if not ready:
            return
        rows: dict[str, dict[str, Any]] = {}
        with suppress(OSError):  # a storage that has gone away comes back before the next fit
            rows = {row["fit"]: row for row in self._ledger.fits(["fit", *METRICS], ready.values()).to_pylist()}
        for number, key in ready.items():
            if row := rows.get(key):
                found = {name: float(row[name]) for name in METRICS if row[name] is not None}
                tune.report({"round": number, "training_iteration": number, **found})


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

    return {
        "failed": f"{type(error).__name__} in {fit.recipe}: {error}",
        "log": f"on {platform.node()}, process {os.getpid()}\n{''.join(traceback.format_exception(error))}",
        "out_of_memory": isinstance(error, torch.OutOfMemoryError),
    }


def _publish(
    fit: Fit, pixels: dict[str, Any], keep: dict[str, bool], ledger: Ledger, run: str, device: str, backend: str
) -> bool:
    """Publish a fit, waiting for the storage whenever it goes away. Returns whether the fit was trained now."""
    while True:
        _wait_for_storage(ledger, run)
        try:
            trained = run_fit(fit, pixels, ledger, device, _report_steps, backend=backend, whole=True, **keep)
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
