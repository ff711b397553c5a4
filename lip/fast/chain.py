"""Fast modules that follow one another, as one node of PyTorch's graph.

A node written in Python costs some 30 microseconds there and back, as much as a layer of a small map takes to compute,
and so do a few dozen small tensors. Within a node there are arrays only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

Array = np.ndarray


class Stage(nn.Module, ABC):
    """A module that brings its own gradient; alone it is a chain of one."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.stages: list[Stage] = [self]

    def forward(self, x: Tensor) -> Tensor:
        return run(x, self.stages)

    def tensors(self) -> tuple[Tensor | None, ...]:
        """The parameters, as `ahead` takes them."""
        return ()

    @abstractmethod
    def ahead(self, x: Array, *parameters: Any) -> tuple[Array, Any]:
        """The output, and what `back` will need; all arrays are contiguous."""

    @abstractmethod
    def back(self, slope: Array, kept: Any, wanted: bool) -> tuple[Array | None, ...]:
        """From the gradient of the output that of the input, if it is wanted, and those of the parameters."""


class Chain(nn.Sequential):
    """Stages, one after the other."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.stages: list[Stage] = list(self)  # type: ignore[arg-type]  # all are stages

    def forward(self, x: Tensor) -> Tensor:
        return run(x, self.stages)


def join(first: Stage | Chain, then: Stage | Chain) -> None:
    """Let what the first does be done by the second, to which its output goes and nowhere else."""
    first.stages, then.stages = [], [*first.stages, *then.stages]


def run(x: Tensor, stages: Sequence[Stage]) -> Tensor:
    """Pass x through all stages, as one node of PyTorch's graph."""
    if not stages:
        return x
    tensors = [stage.tensors() for stage in stages]
    return _Run.apply(x, stages, [len(own) for own in tensors], *chain.from_iterable(tensors))


class _Run(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, stages: Sequence[Stage], counts: Sequence[int], *parameters: Tensor | None
    ) -> Tensor:
        ctx.passed, rest = [], iter([None if p is None else p.numpy() for p in parameters])
        y = x.contiguous().numpy()
        for stage, count in zip(stages, counts, strict=True):
            y, kept = stage.ahead(y, *islice(rest, count))
            ctx.passed.append((stage, kept))
        return torch.from_numpy(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        slopes: list[Array | None] = []
        x_slope: Any = slope.contiguous().numpy()
        while ctx.passed:  # taking each away, so that its memory is free for those before it
            stage, kept = ctx.passed.pop()
            x_slope, *own = stage.back(x_slope, kept, bool(ctx.passed) or ctx.needs_input_grad[0])
            slopes[:0] = own
        first, *rest = (None if array is None else torch.from_numpy(array) for array in (x_slope, *slopes))
        return first, None, None, *rest
