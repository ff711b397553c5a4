"""Running the missing fits of a plan on Ray Tune: one trial is one trajectory. The only module that uses ray.

Tune schedules and the ledger remembers: Tune's own state is thrown away. A trial asks the ledger what is there, trains
what is not, and publishes after every round, so a run can be ended anywhere, by any means, and started again.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

for _name, _value in {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a table even where none is wanted
    "RAY_AUTH_MODE": "disabled",  # a local cluster that nobody else can reach
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "600",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402  # it reads the environment when it is imported
from ray import tune  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

from lip.fit import Fit  # noqa: E402
from lip.store import Ledger  # noqa: E402
from lip.trajectory import Trajectory, publish  # noqa: E402
from sweeps.plan import Plan  # noqa: E402
from sweeps.queue import Queue  # noqa: E402

if TYPE_CHECKING:
    from sweeps.progress import Progress

SECONDS_BETWEEN_REPORTS = 1.0
RESTARTS = 3
"""How often a trial is started again when its process dies; what it had published it does not repeat."""


@dataclass(frozen=True)
class Resources:
    """Where to run. `cpus` and `gpus` are per trial; `slots` limits the trials at a time on this machine.

    `gpus` None means one if the cluster has any at the start, else none. `backend` (`lip.fast.backend`) is chosen
    where the trial runs.
    """

    address: str = "local"
    slots: int = 1
    cpus: float = 1
    gpus: float | None = None
    backend: str = "auto"


def execute(plan: Plan, ledger: Ledger, resources: Resources, progress: Progress) -> None:
    """Train and publish what the plan lacks. Returns when all is done, has failed, or after Ctrl-C.

    What is published then is for the ledger to say; failures are recorded there with their cause.
    """
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(resources.slots)
    todo = plan.todo()
    work = {t.id: (t, todo[t.id]) for t in plan.sweep.trajectories if t.id in todo}
    _connect(resources, sum(pixels.nbytes for pixels in plan.sweep.pixels.values()))
    scratch = tempfile.mkdtemp(prefix="lip-tune-")
    try:
        shared = {
            "pixels": plan.sweep.pixels,
            "outputs": plan.sweep.outputs,
            "storage": str(ledger.root),
            "backend": resources.backend,
        }
        trial = tune.with_parameters(_trial, work=work, **shared)
        gpus = min(1.0, ray.cluster_resources().get("GPU", 0)) if resources.gpus is None else resources.gpus
        bundle = {"CPU": resources.cpus} | ({"GPU": gpus} if gpus else {})
        tune.Tuner(
            tune.with_resources(trial, tune.PlacementGroupFactory([bundle])),
            tune_config=tune.TuneConfig(
                search_alg=_FromQueue(Queue({key: [fit.id for fit in fits] for key, fits in todo.items()})),
                num_samples=len(work),
                reuse_actors=True,
                trial_name_creator=lambda t: t.config["key"],
                trial_dirname_creator=lambda t: t.config["key"],
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=scratch,
                verbose=0,
                callbacks=[_Follow({key: trajectory for key, (trajectory, _) in work.items()}, ledger, progress)],
                failure_config=tune.FailureConfig(max_failures=RESTARTS),
            ),
        ).fit()
    finally:
        ray.shutdown()
        shutil.rmtree(scratch, ignore_errors=True)


def _connect(resources: Resources, image_bytes: int) -> None:
    local: dict[str, Any] = {}
    if resources.address == "local":
        local = {
            "num_cpus": ceil(resources.slots * resources.cpus),
            "include_dashboard": False,
            "object_store_memory": 10**8 + 2 * image_bytes,  # it holds the images and little else
        }
    ray.init(
        resources.address,
        log_to_driver=False,
        logging_level=logging.WARNING,
        runtime_env={"env_vars": {"RAY_CHDIR_TO_TRIAL_DIR": "0"}},
        **local,
    )


class _Disposable:
    """Tune pickles what it is given into its own state, which nobody reads: nothing of this goes in."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _FromQueue(_Disposable, Searcher):
    """Hands Tune the next trajectory that can start, and tells the queue what has become of the others."""

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self.queue = queue
        self.keys: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        key = self.queue.next()
        if key is None:
            return None if self.queue else Searcher.FINISHED
        self.keys[trial_id] = key
        return {"key": key}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if fit := result.get("published"):
            self.queue.published(fit)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.queue.ended(self.keys.pop(trial_id))

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        pass


class _Follow(_Disposable, tune.Callback):
    """Passes on to the progress display what trials report."""

    def __init__(self, trajectories: dict[str, Trajectory], ledger: Ledger, progress: Progress) -> None:
        self.trajectories = trajectories
        self.ledger = ledger
        self.progress = progress

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        self.progress.heard(self.trajectories[trial.config["key"]], result)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.progress.ended(self.trajectories[trial.config["key"]])

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        key = trial.config["key"]
        cause = f"its process died {RESTARTS + 1} times (killed, or out of memory)"
        self.ledger.record_failure(key, cause)
        self.progress.heard(self.trajectories[key], {"failed": cause})
        self.progress.ended(self.trajectories[key])


def _trial(
    config: dict[str, str],
    work: dict[str, tuple[Trajectory, list[Fit]]],
    pixels: dict[str, Any],
    outputs: frozenset[str],
    storage: str,
    backend: str,
) -> None:
    """One trial: what one trajectory lacks, fit by fit. Runs in a worker process, which serves many trials."""
    import torch

    ledger = Ledger(storage)
    trajectory, fits = work[config["key"]]
    device = "cuda" if ray.get_gpu_ids() else "cpu"
    torch.set_num_threads(max(1, int(tune.get_context().get_trial_resources().head_cpus)))
    gc.collect()  # what the trial before left behind in this process
    if device == "cuda":
        torch.cuda.empty_cache()
    for fit in fits:
        try:
            trained = publish(fit, pixels, ledger, device, _report_now_and_then, fit.id in outputs, backend)
        except Exception as error:  # a bug or a full disk would fail again: say so and leave the slot to others
            cause = f"{type(error).__name__} in {fit.mask}: {error}"
            ledger.record_failure(trajectory.id, cause)
            tune.report({"failed": cause})
            return
        tune.report({"published": fit.id, "trained": trained})
    ledger.clear_failure(trajectory.id)


def _report_now_and_then(fit: Fit) -> Callable[[int, float], None]:
    reported = time.monotonic()

    def watch(step: int, score: float) -> None:
        nonlocal reported
        if time.monotonic() - reported >= SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            tune.report({"place": str(fit.mask), "step": step, "said": fit.task.said(score)})

    return watch
