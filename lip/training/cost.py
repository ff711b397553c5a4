"""Count the cost of a training step from shapes alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lip.ledger.filesystem import write_whole
from lip.priors import Pretrained, Prior
from lip.specs.fit import Fit
from lip.specs.picture import DataSet
from lip.specs.schedule import Adversarial
from lip.specs.spec import id_of
from lip.tasks.classify import Classify
from lip.tasks.generate import Generate
from lip.tasks.sense import Sense
from lip.training import environment

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Work:
    """An amount of work: multiplications, and values written to memory."""

    multiplications: float
    values: float

    def __add__(self, other: Work) -> Work:
        return Work(self.multiplications + other.multiplications, self.values + other.values)

    def __rmul__(self, times: float) -> Work:
        return Work(times * self.multiplications, times * self.values)


def forward(build: Callable[[], nn.Module], draw: Callable[[], Tensor]) -> Work:
    """Count the work of a forward pass; `build` makes the network and `draw` its input."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    class Written(TorchDispatchMode):
        values = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            output = func(*args, **(kwargs or {}))
            if not func.is_view:
                outputs = output if isinstance(output, tuple) else (output,)
                self.values += sum(tensor.numel() for tensor in outputs if isinstance(tensor, torch.Tensor))
            return output

    with torch.device("meta"), torch.no_grad():  # tensors there have shapes and no memory
        network, code = build(), draw()
        with FlopCounterMode(display=False) as counter, Written() as written:
            network(code)
    return Work(counter.get_total_flops() / 2, written.values)  # an operation is a multiplication and an addition


@cache
def forward_work(prior: Prior, height: int, width: int, channels: int) -> Work:
    """Count the work of a prior's forward pass for an image of that size.

    Counts are kept in the user's cache: to count again loads PyTorch and its compiler, for seconds.
    """
    file = _cached(f"{prior.canonical_text} {height} {width} {channels}")
    with suppress(OSError, ValueError, TypeError):
        return Work(**json.loads(file.read_bytes()))
    work = forward(lambda: prior.build(channels), lambda: prior.code(height, width))
    with suppress(OSError):
        write_whole(file, json.dumps(vars(work)).encode())
    return work


def _cached(key: str) -> Path:
    """Return the file of a count, by what is counted, by these sources and by PyTorch's version."""
    import pooch

    name = id_of(f"{key} {environment.code()} {version('torch')}")
    return Path(pooch.os_cache("lottery-image-priors"), "work", f"{name}.json")


def step_work(fit: Fit) -> Work:
    """Count the work of a training step of the dense network, forward and backward; for a classifier, of an epoch."""
    if isinstance(fit.task, Classify):
        return _classification(fit, fit.task)
    if isinstance(fit.task, Generate):
        return _adversarial(fit, fit.task)
    codes = len(fit.pictures) if fit.codes == "per_image" else 1
    restored = codes * fit.prior.passes * forward_work(fit.prior, *fit.picture.shape)
    if not isinstance(fit.task, Sense):
        return restored
    residuals = Work(fit.task.measurements * prod(fit.picture.shape), fit.task.measurements)
    return (2 if fit.task.estimator == "median_of_means" else 1) * (restored + residuals)


def _classification(fit: Fit, task: Classify) -> Work:
    """Count the training pictures forward and backward, and the test pictures forward."""
    assert isinstance(fit.picture, DataSet)
    return (fit.prior.passes * fit.picture.train + fit.picture.test) * picture_work(task, fit.prior, fit.picture)


@cache
def picture_work(task: Classify, prior: Prior, pictures: DataSet) -> Work:
    """Count the work of a classifier's forward pass for one picture."""
    import torch

    height, width, channels = pictures.shape
    return 0.5 * forward(lambda: task.network(prior, pictures), lambda: torch.empty(2, channels, height, width))


def _adversarial(fit: Fit, task: Generate) -> Work:
    """Count both steps; the gradient penalty costs the critic another six passes."""
    import torch

    prior, schedule, (height, width, channels) = fit.prior, fit.schedule, fit.picture.shape
    assert isinstance(prior, Pretrained)
    assert isinstance(schedule, Adversarial)
    generator = forward_work(prior, height, width, channels)
    critic = forward(lambda: prior.critic(channels), lambda: torch.empty(1, channels, height, width))
    trained = 0 if schedule.generator_frozen else 1 if task.gan_batch else schedule.batch
    return schedule.batch * (generator + 12 * critic) + trained * (3 * generator + 2 * critic)
