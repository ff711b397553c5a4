"""Convolve with all weights by PyTorch, padding the input in one pass over memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lip.fast import kernels
from lip.fast.sparse_conv import margin
from lip.fast.stages import Stage
from lip.fast.tape import Array, Tape


class DenseConv(Stage):
    """Replace a convolution of which few weights are pruned."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.stride, self.zeros, self.margin = conv.stride, conv.padding, margin(conv)

    def tensors(self) -> tuple[Tensor, Tensor | None]:
        return self.weight, self.bias

    def forward_np(self, tape: Tape, x: Array, weight: Array, bias: Array | None) -> tuple[Array, Any]:
        if self.margin:
            images, channels, height, width = x.shape
            padded = tape.empty((images, channels, height + 2 * self.margin, width + 2 * self.margin), x.dtype)
            tape.call(kernels.pad_reflect, x, self.margin, padded)
            x = padded
        tensors = [None if array is None else torch.from_numpy(array) for array in (x, weight, bias)]
        y = tape.empty(self._convolved(*tensors).shape, x.dtype)
        tape.call(self._convolve, torch.from_numpy(y), *tensors)
        return y, tensors

    def backward_np(self, tape: Tape, grad: Array, saved: Any, needs_x_grad: bool) -> tuple[Array | None, ...]:
        needed = needs_x_grad, True, saved[2] is not None
        found = [tape.empty(x.shape, grad.dtype) if needs else None for x, needs in zip(saved, needed, strict=True)]
        tensors = [None if array is None else torch.from_numpy(array) for array in found]
        tape.call(self._differentiate, torch.from_numpy(grad), *saved[:2], *tensors)
        x_grad, *own = found
        if x_grad is not None and self.margin:
            images, channels, height, width = x_grad.shape
            padded = x_grad
            x_grad = tape.empty((images, channels, height - 2 * self.margin, width - 2 * self.margin), grad.dtype)
            tape.call(kernels.pad_reflect_adjoint, padded, self.margin, x_grad)
        return x_grad, *own

    def _convolved(self, x: Any, weight: Any, bias: Any) -> Tensor:
        return torch.conv2d(x, weight, bias, self.stride, self.zeros)

    def _convolve(self, y: Tensor, *tensors: Tensor | None) -> None:
        y.copy_(self._convolved(*tensors))

    def _differentiate(self, grad: Tensor, x: Tensor, weight: Tensor, *found: Tensor | None) -> None:
        grads = torch.ops.aten.convolution_backward(
            grad, x, weight, [len(weight)], self.stride, self.zeros, [1, 1], False, [0, 0], 1,
            [tensor is not None for tensor in found],
        )  # fmt: skip  # its arguments are in order those of a convolution
        for tensor, value in zip(found, grads, strict=True):
            if tensor is not None:
                tensor.copy_(value)
