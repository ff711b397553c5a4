"""Loggers by name: TensorBoard, Weights & Biases, MLflow. Each writes the rounds of every trajectory.

What these libraries read from their own variables wins, such as WANDB_MODE, WANDB_PROJECT and MLFLOW_TRACKING_URI.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from ray.tune import Callback
from ray.tune.logger import LoggerCallback

from lip.errors import InputError, nearest
from lip.ledger.ledger import Ledger
from sweeps.trial import METRICS


class TensorBoard(LoggerCallback):
    """Write events, a folder for each trajectory; the step is the round."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def log_trial_start(self, trial: Any) -> None:
        from tensorboardX import SummaryWriter

        writer = SummaryWriter(str(self._folder / trial.config["key"]))
        rows = "".join(f"| {name} | {value} |\n" for name, value in sorted(trial.config.items()))
        writer.add_text("config", f"| key | value |\n|---|---|\n{rows}")
        self._writers[trial.trial_id] = writer

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        for name in METRICS:
            if name in result:
                self._writers[trial.trial_id].add_scalar(name, result[name], result["round"])

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        self._writers.pop(trial.trial_id).close()


def _tensorboard(title: str, folder: Path) -> Callback:
    return TensorBoard(folder / "tensorboard" / title)


def _wandb(title: str, folder: Path) -> Callback:
    from ray.air.integrations.wandb import WandbLoggerCallback

    (folder / "wandb").mkdir(parents=True, exist_ok=True)
    project = os.environ.get("WANDB_PROJECT", "lip")
    return WandbLoggerCallback(project=project, group=title, dir=str(folder), excludes=["gpus"])


def _mlflow(title: str, folder: Path) -> Callback:
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri is None:  # files need no server and no database, and MLflow wants to be told that they will do
        uri = (folder / "mlflow").as_uri()
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    return MLflowLoggerCallback(tracking_uri=uri, experiment_name=title)


class Logger(NamedTuple):
    """A logger: the module that it needs, and how it is made for the title of a sweep and a folder."""

    module: str
    make: Callable[[str, Path], Callback]


LOGGERS = {
    "tensorboard": Logger("tensorboardX", _tensorboard),
    "wandb": Logger("wandb", _wandb),
    "mlflow": Logger("mlflow", _mlflow),
}


def check_loggers(names: Iterable[str]) -> None:
    """Refuse a logger that is not known or not installed. Raises InputError."""
    for name in names:
        if name not in LOGGERS:
            raise InputError(f"--log {name}: there is no such logger; {nearest(name, list(LOGGERS))}")
        if find_spec(LOGGERS[name].module) is None:
            raise InputError(f"--log {name}: it is not installed; pip install 'lottery-image-priors[{name}]'")


def log_folder(ledger: Ledger) -> Path:
    """Return the folder of logs: `logs` in the storage, or here if that is an object store."""
    try:
        return ledger.root / "logs"
    except InputError:
        return Path.cwd() / "logs"
