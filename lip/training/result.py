"""The result of a training."""

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
"""Called at intervals with the step and a score, which `Task.format_score` formats."""


class Times(TypedDict):
    """The durations in a `TrainingResult`."""

    seconds: float
    cpu_seconds: float


class FinalState(TypedDict):
    """The fields of a `TrainingResult` that come from the network."""

    weights: dict[str, Tensor]
    final_weights: np.ndarray
    parameters: int
    device: str


class Stopwatch:
    """Measure a training from now on."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> Times:
        """Return the durations so far."""
        wall, cpu = self._began
        return {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


@dataclass(frozen=True, kw_only=True)
class TrainingResult(ABC):
    """The result of a training of any kind, as the ledger stores it."""

    loss: float
    """Mean over the end of training, because single values fluctuate."""
    collapsed: bool
    """True if the best output is hardly better than a constant one."""
    seconds: float
    cpu_seconds: float
    """CPU time of the process, all threads; unlike `seconds` independent of the machine's other load."""
    weights: dict[str, Tensor]
    """Parameters and batch-norm buffers after the last update."""
    final_weights: np.ndarray
    """The trained prunable weights, flat, in the mask's order."""
    parameters: int
    """All parameters of the network, pruned ones included."""
    device: str
    backend: str
    """The backend that computed it (`lip.fast.backend`)."""
    outputs: dict[str, np.ndarray]
    """Images by name, float32 (channels, height, width) in [0, 1]."""

    @property
    def diverged(self) -> bool:
        """Tell whether the loss was not finite at the end."""
        return not isfinite(self.loss)

    @abstractmethod
    def columns(self) -> dict[str, Any]:
        """Return its own columns of a row (`lip.ledger.schema`): scores and curve."""
