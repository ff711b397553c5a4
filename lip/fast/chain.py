"""Fast modules that follow one another, as one node of PyTorch's graph.

A node written in Python costs some 30 microseconds there and back, as much as a layer of a small map takes to compute.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class Stage(nn.Module, ABC):
    """A module that brings its own gradient; alone it is a chain of one."""

    def forward(self, x: Tensor) -> Tensor:
        return run(x, [self])

    def tensors(self) -> tuple[Tensor | None, ...]:
        """The parameters, as `ahead` takes them."""
        return ()

    @abstractmethod
    def ahead(self, x: Tensor, *parameters: Any) -> tuple[Tensor, Any]:
        """The output, and what `back` will need."""

    @abstractmethod
    def back(self, slope: Tensor, kept: Any, wanted: bool) -> tuple[Tensor | None, ...]:
        """From the gradient of the output that of the input, if it is wanted, and those of the parameters."""


class Chain(nn.Sequential):
    """Stages, one after the other."""

    def forward(self, x: Tensor) -> Tensor:
        return run(x, list(self))  # type: ignore[arg-type]  # all are stages


def run(x: Tensor, stages: Sequence[Stage]) -> Tensor:
    """What comes out at the end when x goes through all stages."""
    tensors = [stage.tensors() for stage in stages]
    return _Run.apply(x, stages, [len(own) for own in tensors], *chain.from_iterable(tensors))


class _Run(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, stages: Sequence[Stage], counts: Sequence[int], *parameters: Tensor | None
    ) -> Tensor:
        ctx.passed, rest = [], iter(parameters)
        for stage, count in zip(stages, counts, strict=True):
            x, kept = stage.ahead(x, *islice(rest, count))
            ctx.passed.append((stage, kept))
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        slopes: list[Tensor | None] = []
        slope = slope.contiguous()
        while ctx.passed:  # taking each away, so that its memory is free for those before it
            stage, kept = ctx.passed.pop()
            slope, *own = stage.back(slope, kept, bool(ctx.passed) or ctx.needs_input_grad[0])
            slopes[:0] = own
        return slope, None, None, *slopes
