"""Run fast modules that follow one another as one node of PyTorch's graph.

A node written in Python costs about 30 microseconds in either direction, as much as the arithmetic of a layer on a
small map; a few dozen small tensors cost as much again. Within a node there are NumPy arrays only.
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
    """Compute a module and its gradient on NumPy arrays."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.stages: list[Stage] = [self]

    def forward(self, x: Tensor) -> Tensor:
        return run(x, self.stages)

    def tensors(self) -> tuple[Tensor | None, ...]:
        """Return the parameters in the order in which `forward_np` takes them."""
        return ()

    @abstractmethod
    def forward_np(self, x: Array, *parameters: Any) -> tuple[Array, Any]:
        """Return the output and what `backward_np` needs; all arrays are contiguous."""

    @abstractmethod
    def backward_np(self, grad: Array, saved: Any, needs_x_grad: bool) -> tuple[Array | None, ...]:
        """Return the gradients of the input (None unless needed) and of the parameters from that of the output."""


class FusedStages(nn.Sequential):
    """Run stages one after the other as one node."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.stages: list[Stage] = list(self)  # type: ignore[arg-type]  # all are stages

    def forward(self, x: Tensor) -> Tensor:
        return run(x, self.stages)


def join(first: Stage | FusedStages, then: Stage | FusedStages) -> None:
    """Move the stages of `first` to `then`, the only module that sees its output."""
    first.stages, then.stages = [], [*first.stages, *then.stages]


def run(x: Tensor, stages: Sequence[Stage]) -> Tensor:
    """Pass x through all stages as one node."""
    if not stages:
        return x
    tensors = [stage.tensors() for stage in stages]
    return _Run.apply(x, stages, [len(own) for own in tensors], *chain.from_iterable(tensors))


class _Run(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, stages: Sequence[Stage], counts: Sequence[int], *parameters: Tensor | None
    ) -> Tensor:
        ctx.done, rest = [], iter([None if p is None else p.numpy() for p in parameters])
        y = x.contiguous().numpy()
        for stage, count in zip(stages, counts, strict=True):
            y, saved = stage.forward_np(y, *islice(rest, count))
            ctx.done.append((stage, saved))
        return torch.from_numpy(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grads: list[Array | None] = []
        x_grad: Any = grad.contiguous().numpy()
        while ctx.done:  # popped, so that what a stage saved is freed before the next one allocates
            stage, saved = ctx.done.pop()
            x_grad, *own = stage.backward_np(x_grad, saved, bool(ctx.done) or ctx.needs_input_grad[0])
            grads[:0] = own
        first, *rest = (None if array is None else torch.from_numpy(array) for array in (x_grad, *grads))
        return first, None, None, *rest
