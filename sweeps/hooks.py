"""Connect Tune with the scheduler."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from sweeps.budget import Meter
from sweeps.cluster import first_line
from sweeps.drain import Drain
from sweeps.heartbeat import Heartbeat
from sweeps.node_losses import NodeLosses
from sweeps.progress import Progress
from sweeps.scheduler import Scheduler


class NoState:
    """Keeps an object out of Tune's pickled state, which nobody reads."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class SchedulerSearcher(NoState, Searcher):
    """Gives Tune the next trajectory that can start, with its config. `TrialCallback` tells how it ends."""

    def __init__(self, scheduler: Scheduler, describe: Callable[[str], dict[str, Any]]) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._describe = describe

    def suggest(self, trial_id: str) -> Any:
        start = self._scheduler.next()
        if start is None:
            return None if self._scheduler else Searcher.FINISHED
        return {**self._describe(start.key), "key": start.key, "gpus": start.gpus}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        pass


class DrainStopper(NoState, tune.Stopper):
    """Ends Tune once a drained run has no trial left but those that wait for a node, perhaps for ever."""

    def __init__(self, drain: Drain, heartbeat: Heartbeat) -> None:
        self._drain = drain
        self._heartbeat = heartbeat

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return bool(self._drain) and not self._heartbeat.at


class TrialCallback(NoState, tune.Callback):
    """Passes what happens to trials on to scheduler, display and heartbeat."""

    def __init__(
        self, scheduler: Scheduler, progress: Progress, heartbeat: Heartbeat, drain: Drain, meter: Meter
    ) -> None:
        self._scheduler = scheduler
        self._progress = progress
        self._heartbeat = heartbeat
        self._drain = drain
        self._meter = meter
        self._losses = NodeLosses(_lost_nodes)

    def setup(self, *arguments: Any, **info: Any) -> None:
        self._drain.on_signal()  # Tune has just set a handler that ends it at once

    def on_step_end(self, iteration: int, trials: Any, **info: Any) -> None:
        self._heartbeat.seconds_left = self._meter.seconds_left(len(self._heartbeat.at))
        if self._heartbeat.seconds_left <= 0:
            self._drain.request(self._meter.spent)
        if self._drain.reason and not self._heartbeat.draining:
            self._heartbeat.drain(self._drain.reason)
            self._progress.draining(self._drain.reason)
        self._heartbeat.beat()
        for key in self._losses.explained_late():
            self._scheduler.forgive_death(key)

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        trial.config.pop("work", None)  # it has arrived, and is nothing for loggers
        self._heartbeat.at[trial.config["key"]] = "starting"

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        key = trial.config["key"]
        self._scheduler.on_report(key, result)
        if "published" in result:
            self._progress.published(key, result["published"], json.loads(result["row"]))
        elif "step" in result:
            self._show(key, f"{result['mask']}, step {result['step']}, {result['score']}", result["step"])
        elif "waiting" in result:
            self._show(key, f"waiting {result['waiting']}")

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._scheduler.on_end(trial.config["key"])
        self._ended(trial.config["key"])

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        key, error = trial.config["key"], trial.get_pickled_error()  # written by this process, a moment ago
        if isinstance(error, ray.exceptions.RayTaskError):  # raised outside of what a trial catches
            self._scheduler.on_report(key, {"failed": str(error).strip().splitlines()[-1], "log": str(error)})
            self._scheduler.on_end(key)
        else:
            cause = first_line(error or RuntimeError("killed"))
            self._scheduler.on_death(key, cause, self._losses.explain(key), str(error))
        self._ended(key)

    def _show(self, key: str, place: str, step: int = 0) -> None:
        self._heartbeat.at[key] = place
        self._progress.running(key, place, step)

    def _ended(self, key: str) -> None:
        self._heartbeat.at.pop(key, None)
        self._progress.ended(key)


def _lost_nodes() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if not node["Alive"]}
