"""The result of any training."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Watch = Callable[[int, float], None]
"""Called now and then with the step and how well it does: what `Task.said` puts into words."""


class Times(TypedDict):
    """The durations of an `TrainingResult`."""

    seconds: float
    cpu_seconds: float


class Left(TypedDict):
    """The fields of an `TrainingResult` that come from the network."""

    weights: dict[str, Tensor]
    prunable: np.ndarray
    parameters: int
    device: str


class Stopwatch:
    """Measure a training from now on."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> Times:
        """Return how long it has taken so far."""
        wall, cpu = self._began
        return {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


@dataclass(frozen=True, kw_only=True)
class TrainingResult(ABC):
    """A training's result as the ledger keeps it, of whatever kind."""

    loss: float
    """Mean over the end of training: single values are restless."""
    collapsed: bool
    """Whether the best of it is hardly better than what a net does that passes nothing on."""
    seconds: float
    cpu_seconds: float
    """Of the process, all threads: unlike `seconds` it does not grow when a machine is busy with other things."""
    weights: dict[str, Tensor]
    """Parameters and batch-norm buffers after the last update."""
    prunable: np.ndarray
    """The trained prunable weights, flat, in the mask's order."""
    parameters: int
    """All parameters of the network, pruned ones included."""
    device: str
    backend: str
    """What computed it (`lip.fast.backend`)."""
    outputs: dict[str, np.ndarray]
    """Images by name, float32 (channels, height, width) in [0, 1]."""

    @property
    def diverged(self) -> bool:
        """Tell whether the loss was not finite towards the end."""
        return not isfinite(self.loss)

    @abstractmethod
    def columns(self) -> dict[str, Any]:
        """Its own columns of the row (`lip.ledger.schema`): scores and curve."""
