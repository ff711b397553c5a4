"""A convolution of all its weights: PyTorch's, with padding in one pass over memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lip.fast import kernels
from lip.fast.chain import Stage
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

    def ahead(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Kept]:
        if self.margin:
            images, channels, height, width = x.shape
            padded = x.new_empty(images, channels, height + 2 * self.margin, width + 2 * self.margin)
            kernels.padded(x.contiguous().numpy(), self.margin, padded.numpy())
            x = padded
        return torch.conv2d(x, weight, bias, self.stride, self.zeros), (x, weight, bias is not None)

    def back(self, slope: Tensor, kept: Kept, wanted: bool) -> tuple[Tensor | None, ...]:
        x, weight, biased = kept
        x_slope, weight_slope, bias_slope = torch.ops.aten.convolution_backward(
            slope, x, weight, [len(weight)], self.stride, self.zeros, [1, 1], False, [0, 0], 1,
            [wanted, True, biased],
        )  # fmt: skip  # its arguments are in order those of a convolution
        if wanted and self.margin:
            images, channels, height, width = x.shape
            padded = x_slope.contiguous().numpy()
            x_slope = x.new_empty(images, channels, height - 2 * self.margin, width - 2 * self.margin)
            kernels.padded_back(padded, self.margin, x_slope.numpy())
        return x_slope, weight_slope, bias_slope
