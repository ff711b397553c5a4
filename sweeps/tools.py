"""Tune's tools that a user brings: callbacks, a scheduler, loggers. They see the results of rounds alone.

A trial also reports where it is and why it ends (`sweeps.trial`), for the driver. Whatever a scheduler stops, it stops
between two fits, since a trial waits for the decision about what it has reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.logger import JsonLoggerCallback
from ray.tune.schedulers import PopulationBasedTraining, PopulationBasedTrainingReplay, TrialScheduler

from lip.errors import InputError
from lip.ledger.ledger import Ledger
from sweeps.cluster import first_line
from sweeps.hooks import NoState
from sweeps.logs import LOGGERS, check_loggers, log_folder
from sweeps.plan import Plan

HOOKS = [name for name in dir(tune.Callback) if name == "setup" or name.startswith("on_")]
"""The methods of a callback that Tune calls."""
DECISIONS = [name for name in vars(TrialScheduler) if not name.startswith("_") and name != "metric"]
"""The methods of a scheduler that Tune calls."""


@dataclass(frozen=True)
class Tools:
    """Hold what a user gives to a run. Raises InputError for a scheduler or a logger that cannot work."""

    callbacks: tuple[tune.Callback, ...] = ()
    scheduler: TrialScheduler | None = None
    log: tuple[str, ...] = ()
    """Names of loggers (`sweeps.logs`)."""
    folder: str | Path | None = None
    """Where Tune and its loggers keep files; None: nowhere."""

    def __post_init__(self) -> None:
        check_loggers(self.log)
        if isinstance(self.scheduler, (PopulationBasedTraining, PopulationBasedTrainingReplay)):
            name = type(self.scheduler).__name__
            raise InputError(f"scheduler: {name} changes configs, and a trajectory is what its config says; use ASHA")

    def tune_callbacks(self, plan: Plan, ledger: Ledger) -> Iterator[tune.Callback]:
        """Yield the callbacks for Tune; the first keeps the results that `ResultGrid` reads."""
        title = f"{plan.sweep.name}.{plan.sweep.profile}"
        loggers = [LOGGERS[name].make(title, log_folder(ledger)) for name in self.log]
        for callback in (JsonLoggerCallback(), *loggers, *self.callbacks):
            yield RoundCallback(callback)

    def tune_scheduler(self) -> TrialScheduler | None:
        """Return the scheduler for Tune."""
        return None if self.scheduler is None else RoundScheduler(self.scheduler)


def is_round(result: dict[str, Any]) -> bool:
    """Tell whether a report is the result of a round."""
    return "round" in result


class RoundCallback(NoState, tune.Callback):
    """Pass on to a callback what happens, of the reports those of rounds alone."""

    def __init__(self, callback: tune.Callback) -> None:
        self._callback = callback
        for name in HOOKS:
            if name not in ("setup", "on_trial_result"):
                setattr(self, name, getattr(callback, name))

    def setup(self, stop: Any = None, num_samples: Any = None, total_num_samples: Any = None, **info: Any) -> None:
        try:
            self._callback.setup(stop=stop, num_samples=num_samples, total_num_samples=total_num_samples, **info)
        except Exception as error:  # such as a missing key of an account; no work has started
            raise InputError(f"{type(self._callback).__name__} cannot start: {first_line(error)}") from error

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        if is_round(result):
            self._callback.on_trial_result(iteration, trials, trial, result, **info)


class RoundScheduler(NoState, TrialScheduler):
    """Pass on to a scheduler what it decides about, of the reports those of rounds alone."""

    def __init__(self, scheduler: TrialScheduler) -> None:
        self._scheduler = scheduler
        for name in DECISIONS:
            if name != "on_trial_result" and callable(getattr(scheduler, name)):
                setattr(self, name, getattr(scheduler, name))

    @property
    def metric(self) -> Any:
        return self._scheduler.metric

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if not is_round(result):
            return TrialScheduler.CONTINUE
        return self._scheduler.on_trial_result(tune_controller, trial, result)
