"""A convolution of all its weights: PyTorch's, with padding in one pass over memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lip.fast import kernels
from lip.fast.chain import Array, Stage
from lip.fast.sparse_conv import margin

Kept = tuple[Tensor, Tensor, bool]


class DenseConv(Stage):
    """Takes the place of a convolution."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.stride, self.zeros, self.margin = conv.stride, conv.padding, margin(conv)

    def tensors(self) -> tuple[Tensor, Tensor | None]:
        return self.weight, self.bias

    def ahead(self, x: Array, weight: Array, bias: Array | None) -> tuple[Array, Kept]:
        if self.margin:
            images, channels, height, width = x.shape
            padded = np.empty((images, channels, height + 2 * self.margin, width + 2 * self.margin), x.dtype)
            kernels.padded(x, self.margin, padded)
            x = padded
        there, weights = torch.from_numpy(x), torch.from_numpy(weight)
        offset = None if bias is None else torch.from_numpy(bias)
        y = torch.conv2d(there, weights, offset, self.stride, self.zeros)
        return y.contiguous().numpy(), (there, weights, bias is not None)

    def back(self, slope: Array, kept: Kept, wanted: bool) -> tuple[Array | None, ...]:
        x, weight, biased = kept
        slopes = torch.ops.aten.convolution_backward(
            torch.from_numpy(slope), x, weight, [len(weight)], self.stride, self.zeros, [1, 1], False, [0, 0], 1,
            [wanted, True, biased],
        )  # fmt: skip  # its arguments are in order those of a convolution
        x_slope, *own = (None if tensor is None else tensor.contiguous().numpy() for tensor in slopes)
        if wanted and self.margin:
            images, channels, height, width = x.shape
            padded = x_slope
            x_slope = np.empty((images, channels, height - 2 * self.margin, width - 2 * self.margin), slope.dtype)
            kernels.padded_back(padded, self.margin, x_slope)
        return x_slope, *own
