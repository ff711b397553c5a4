"""Compute a module and its gradient by kernels on NumPy arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from lip.fast.tape import Array, Tape, Traced


class Stage(nn.Module, ABC):
    """Compute as calls on a tape. Given tensors that no tape records, a stage is a node of PyTorch's graph."""

    def forward(self, *inputs: Tensor | None) -> Tensor:
        for x in inputs:
            if isinstance(x, Traced):
                return x.recording.stage(self, inputs)
        return _Node.apply(self, len(inputs), *inputs, *self.tensors())

    def tensors(self) -> tuple[Tensor | None, ...]:
        """Return the parameters in the order in which `forward_np` takes them."""
        return ()

    @abstractmethod
    def forward_np(self, tape: Tape, *arrays: Any) -> tuple[Array, Any]:
        """Return the output and what `backward_np` needs, from contiguous inputs and parameters.

        Whatever is computed is a call of the tape, so that it can be made again.
        """

    @abstractmethod
    def backward_np(self, tape: Tape, grad: Array, saved: Any, needs_x_grad: bool) -> tuple[Array | None, ...]:
        """Return the gradients of the inputs (None unless needed) and of the parameters from that of the output."""


class _Node(Function):
    @staticmethod
    def forward(ctx: Any, stage: Stage, n_inputs: int, *tensors: Tensor | None) -> Tensor:
        ctx.stage, ctx.tape, ctx.n_inputs = stage, Tape(), n_inputs
        y, ctx.arrays = stage.forward_np(ctx.tape, *(None if x is None else x.contiguous().numpy() for x in tensors))
        return torch.from_numpy(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        needs_x_grad = any(ctx.needs_input_grad[2 : 2 + ctx.n_inputs])
        grads = ctx.stage.backward_np(ctx.tape, grad.contiguous().numpy(), ctx.arrays, needs_x_grad)
        return None, None, *(None if array is None else torch.from_numpy(array) for array in grads)
