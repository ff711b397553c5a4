"""Convolve with all weights by PyTorch, padding the input in one pass over memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lip.fast import kernels
from lip.fast.sparse_conv import margin
from lip.fast.stages import Array, Stage

Saved = tuple[Tensor, Tensor, bool]


class DenseConv(Stage):
    """Replace a convolution of which few weights are pruned."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.stride, self.zeros, self.margin = conv.stride, conv.padding, margin(conv)

    def tensors(self) -> tuple[Tensor, Tensor | None]:
        return self.weight, self.bias

    def forward_np(self, x: Array, weight: Array, bias: Array | None) -> tuple[Array, Saved]:
        if self.margin:
            images, channels, height, width = x.shape
            padded = np.empty((images, channels, height + 2 * self.margin, width + 2 * self.margin), x.dtype)
            kernels.pad_reflect(x, self.margin, padded)
            x = padded
        x_tensor, weights = torch.from_numpy(x), torch.from_numpy(weight)
        offset = None if bias is None else torch.from_numpy(bias)
        y = torch.conv2d(x_tensor, weights, offset, self.stride, self.zeros)
        return y.contiguous().numpy(), (x_tensor, weights, bias is not None)

    def backward_np(self, grad: Array, saved: Saved, needs_x_grad: bool) -> tuple[Array | None, ...]:
        x, weight, biased = saved
        grads = torch.ops.aten.convolution_backward(
            torch.from_numpy(grad), x, weight, [len(weight)], self.stride, self.zeros, [1, 1], False, [0, 0], 1,
            [needs_x_grad, True, biased],
        )  # fmt: skip  # its arguments are in order those of a convolution
        x_grad, *own = (None if tensor is None else tensor.contiguous().numpy() for tensor in grads)
        if needs_x_grad and self.margin:
            images, channels, height, width = x.shape
            padded = x_grad
            x_grad = np.empty((images, channels, height - 2 * self.margin, width - 2 * self.margin), grad.dtype)
            kernels.pad_reflect_adjoint(padded, self.margin, x_grad)
        return x_grad, *own
